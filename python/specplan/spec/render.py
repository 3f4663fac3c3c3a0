"""A diagnostic as text for people: what is wrong, the line, a caret, a hint."""

from __future__ import annotations

import unicodedata
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from specplan.spec.source import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.spec.diagnostics import Diagnostic, Origin
    from specplan.spec.document import Document

_COLOURS = {
    "error": "1;31",
    "warning": "1;33",
    "message": "1",
    "label": "34",
    "hint": "1;36",
    "gutter": "34",
}
_TAB = "    "
_LONGEST_LINE = 160


def render(
    diagnostic: Diagnostic, document: Document | None = None, *, colour: bool = False
) -> str:
    """The diagnostic with the lines it is about, as several lines without a last line break.

    Without `document`, lines are taken from the file that the diagnostic names. With `colour`, it is
    marked for a terminal.
    """
    paint = _painted if colour else _plain
    strong = diagnostic.severity
    parts = [
        f"{diagnostic.origin}: {paint(strong, f'{diagnostic.severity}[{diagnostic.code}]')}: "
        f"{paint('message', diagnostic.message)}",
        *_marked(snippet(diagnostic.origin, document), strong, paint),
    ]
    for label in diagnostic.labels:
        parts += [
            f"{label.origin}: {label.text}",
            *_marked(snippet(label.origin, document), "label", paint),
        ]
    if diagnostic.hint is not None:
        parts.append(f"{paint('hint', 'hint')}: {diagnostic.hint}")
    return "\n".join(parts)


def _painted(role: str, text: str) -> str:
    return f"\x1b[{_COLOURS[role]}m{text}\x1b[0m"


def _plain(_: str, text: str) -> str:
    return text


def _marked(lines: list[str], role: str, paint: Callable[[str, str], str]) -> list[str]:
    """The lines of a snippet; the gutter is told from the text, and the caret from both."""
    marked = []
    for line in lines:
        gutter, bar, text = line.partition("| ")
        shown = paint(role, text) if set(text) <= {" ", "^"} and "^" in text else text
        marked.append(f"{paint('gutter', gutter + bar.rstrip())}{' ' if bar else ''}{shown}")
    return marked


def snippet(origin: Origin, document: Document | None = None) -> list[str]:
    """The line that `origin` begins on, with carets under it; no lines where it is in no text."""
    line = line_of(origin, document)
    if line is None:
        return []
    start = origin.column - 1
    end = origin.end_column - 1 if origin.end_line == origin.line else len(line.rstrip())
    line, start, end = _clipped(line, start, end)
    gutter = f"{origin.line:>5} | "
    caret = " " * _width(line[:start]) + "^" * max(_width(line[start:end]), 1)
    return [f"{gutter}{''.join(map(_printed, line))}".rstrip(), f"{'| ':>{len(gutter)}}{caret}"]


def _clipped(line: str, start: int, end: int) -> tuple[str, int, int]:
    """What is around the caret of a line that is too long to print, as in JSON without line breaks."""
    if len(line) <= _LONGEST_LINE:
        return line, start, end
    first = max(min(start - _LONGEST_LINE // 2, len(line) - _LONGEST_LINE), 0)
    shown = line[first : first + _LONGEST_LINE]
    before = "…" if first else ""
    after = "…" if first + len(shown) < len(line) else ""
    moved = len(before) - first
    return before + shown + after, start + moved, min(end + moved, len(before + shown))


def line_of(origin: Origin, document: Document | None = None) -> str | None:
    """The line that `origin` begins on; None where it is in no text, or that is gone."""
    if origin.text is not None:
        return origin.text
    if document is not None:
        return document.source_line(origin)
    if origin.file is None or not origin.line:
        return None
    lines = lines_of(FilePath(origin.file))
    return lines[origin.line - 1] if origin.line <= len(lines) else None


def _width(text: str) -> int:
    """Columns that a terminal gives to `text`, a tab counted as it is printed here."""
    return sum(map(_columns, text))


def _printed(character: str) -> str:
    """What stands for a character. Others that control a terminal must not reach it."""
    if character == "\t":
        return _TAB
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) == "Cc" else character


def _columns(character: str) -> int:
    if character == "\t":
        return len(_TAB)
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
