"""What is wrong with a spec, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str | int, ...]
"""Keys and indexes from the root of a document to a value."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a text. Lines and columns count from 1, columns in characters; ends are exclusive.

    `file` is None for a spec that was given as a Python mapping; then only `path` says where.
    `line` is 0 where a file as a whole is meant. `text` is the line itself where it is in no file:
    what is given with `-c`.
    """

    file: str | None
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    path: Path = ()
    text: str | None = None

    def __str__(self) -> str:
        if self.file is None:
            return format_path(self.path)
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A second place that explains a diagnostic."""

    origin: Origin
    text: str


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """A text that replaces what stands at `origin`."""

    origin: Origin
    text: str


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """What the hint says, done to the text.

    Attributes:
        applicability: `safe` leaves no doubt about what was meant, `unsafe` is a guess, `display` is
            only to be looked at.
    """

    edits: tuple[Edit, ...]
    applicability: Literal["safe", "unsafe", "display"]


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: what is wrong and what is allowed, where, and one hint."""

    code: str
    message: str
    origin: Origin
    severity: Literal["error", "warning"] = "error"
    hint: str | None = None
    labels: tuple[Label, ...] = ()
    fix: Fix | None = None

    def __str__(self) -> str:
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{self.origin}: {self.severity}[{self.code}]: {self.message}{hint}"


def format_path(path: Path) -> str:
    """`("plan", 0, "epochs")` as `plan[0].epochs`; the root is `(spec)`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "(spec)"


def in_text_order(diagnostics: Iterable[Diagnostic], first: str | None) -> list[Diagnostic]:
    """Sorted by place, the file `first` before the others; without repetitions."""

    def place(diagnostic: Diagnostic) -> tuple[bool, str, int, int]:
        origin = diagnostic.origin
        return origin.file != first, origin.file or "", origin.line, origin.column

    return sorted(dict.fromkeys(diagnostics), key=place)
