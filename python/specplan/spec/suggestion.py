"""A hint that knows the text to write."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from specplan.spec.diagnostics import Edit, Fix, Origin

Applicability = Literal["safe", "unsafe", "display"]


class Suggestion(str):
    """The words of a hint, with the text that it wants at the place of the diagnostic.

    Attributes:
        text: what is to be written.
        replaces: the part of the text at that place which it replaces; all of it if empty.
        applicability: how sure it is.
    """

    __slots__ = ("applicability", "replaces", "text")

    text: str
    replaces: str
    applicability: Applicability

    def __new__(
        cls, words: str, *, text: str, replaces: str = "", applicability: Applicability = "unsafe"
    ) -> Suggestion:
        """As `str`, with the attributes."""
        suggestion = super().__new__(cls, words)
        suggestion.text = text
        suggestion.replaces = replaces
        suggestion.applicability = applicability
        return suggestion


def fix_of(hint: str | None, origin: Origin, line: str | None) -> Fix | None:
    """The edit that a hint wants; `line` is the text on which `origin` begins."""
    if not isinstance(hint, Suggestion) or line is None:
        return None
    place = origin if not hint.replaces else _part(origin, line, hint.replaces)
    if place is None:
        return None
    edit = Edit(origin=replace(place, path=()), text=hint.text)
    return Fix(edits=(edit,), applicability=hint.applicability)


def _part(origin: Origin, line: str, part: str) -> Origin | None:
    if origin.end_line != origin.line:
        return None
    start = line.find(part, origin.column - 1, origin.end_column - 1)
    if start < 0:
        return None
    return replace(origin, column=start + 1, end_column=start + len(part) + 1)
