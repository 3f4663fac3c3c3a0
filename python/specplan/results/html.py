"""Tables for notebooks and reports."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from specplan.results.aligned import is_number_column

if TYPE_CHECKING:
    from collections.abc import Sequence


class Html(str):
    """A cell that is HTML already."""

    __slots__ = ()


def html_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, each escaped unless it is `Html`; columns of numbers are set flush right.

    Without a caption or names of columns it has none.
    """
    right = [is_number_column([row[index] for row in rows]) for index in range(len(header))]
    style = [' style="text-align: right"' if flush else "" for flush in right]
    head = "".join(
        f"<th{each}>{escape(name)}</th>" for each, name in zip(style, header, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{each}>{_inside(cell)}</td>" for each, cell in zip(style, row, strict=True))
        + "</tr>"
        for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    names = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    return f"<table>{title}{names}<tbody>{body}</tbody></table>"


def _inside(cell: str) -> str:
    return cell if isinstance(cell, Html) else escape(cell)
