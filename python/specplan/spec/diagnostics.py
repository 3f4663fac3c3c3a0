"""What is wrong with a spec, and where."""

from __future__ import annotations

from typing import Literal

import msgspec

Path = tuple[str | int, ...]
"""Keys and indexes from the root of a document to a value."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a text. Lines and columns count from 1, columns in characters; the end is exclusive.

    `file` is None for a spec that was given as a Python mapping; then only `path` says where.
    """

    file: str | None
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    path: Path = ()


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A second place that explains a diagnostic."""

    origin: Origin
    text: str


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: what is wrong and what is allowed, where, and one hint."""

    code: str
    message: str
    origin: Origin
    severity: Literal["error", "warning"] = "error"
    hint: str | None = None
    labels: tuple[Label, ...] = ()

    def __str__(self) -> str:
        place = self.origin
        where = (
            f"{place.file}:{place.line}:{place.column}: "
            if place.file is not None
            else f"{format_path(place.path)}: "
        )
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{where}{self.severity}[{self.code}]: {self.message}{hint}"


def format_path(path: Path) -> str:
    """`("plan", 0, "epochs")` as `plan[0].epochs`; the root is `(spec)`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "(spec)"
