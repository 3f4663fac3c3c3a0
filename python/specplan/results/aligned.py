"""Rows of text in columns."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "  "


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """One line for the header and each row; columns of numbers are set flush right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(cells_of, column)) for column in columns]
    right = [is_number_column(column[1:]) for column in columns]
    return [
        GAP.join(
            _padding(cell, width) + cell if flush else cell + _padding(cell, width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [header, *rows]
    ]


def cells_of(text: str) -> int:
    """How many cells of a terminal a text takes: letters of some scripts take two, and marks above others none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _padding(text: str, width: int) -> str:
    return " " * (width - cells_of(text))


def is_number_column(cells: Sequence[str]) -> bool:
    """Whether every cell that is not empty is a number, and there is one."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_is_number(cell) for cell in filled)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
