"""A diagnostic as text for people: what is wrong, the line, a caret, a hint."""

from __future__ import annotations

import unicodedata
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from specplan.spec.source import lines_of

if TYPE_CHECKING:
    from specplan.spec.diagnostics import Diagnostic, Origin
    from specplan.spec.document import Document

_TAB = "    "
_LONGEST_LINE = 160


def render(diagnostic: Diagnostic, document: Document | None = None) -> str:
    """The diagnostic with the lines it is about, as several lines without a last line break.

    Without `document`, lines are taken from the file that the diagnostic names.
    """
    parts = [
        f"{diagnostic.origin}: {diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}",
        *snippet(diagnostic.origin, document),
    ]
    for label in diagnostic.labels:
        parts += [f"{label.origin}: {label.text}", *snippet(label.origin, document)]
    if diagnostic.hint is not None:
        parts.append(f"hint: {diagnostic.hint}")
    return "\n".join(parts)


def snippet(origin: Origin, document: Document | None = None) -> list[str]:
    """The line that `origin` begins on, with carets under it; no lines where it is in no text."""
    line = _line(origin, document)
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


def _line(origin: Origin, document: Document | None) -> str | None:
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
