"""Several runs on one page: what was set otherwise, what they measured, and their curves in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.results.comparison import ABSENT, compare
from specplan.results.curves import draw_overlaid_curves
from specplan.results.html import html_table
from specplan.results.page import boxed, section
from specplan.results.table import cell_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.results.comparison import Row
    from specplan.results.open import Run


def comparison_sections(runs: Sequence[Run]) -> list[str]:
    """The parts of the page; a part is empty where the runs have nothing of it.

    Raises:
        RunError: a file of the settings is damaged.
        StoreError: the records are damaged.
    """
    compared = compare(runs)
    header = ("", *compared.runs)
    charts = draw_overlaid_curves(
        {name: run.metric_rows() for name, run in zip(compared.runs, runs, strict=True)}
    )
    return [
        section("What was set otherwise", _table(header, compared.settings)),
        section("Metrics", _table(header, compared.metrics)),
        section("Curves", f'<div class="charts">{"".join(charts)}</div>' if charts else ""),
    ]


def _table(header: Sequence[str], rows: Sequence[Row]) -> str:
    cells = [[row.name, *map(_cell, row.values)] for row in rows]
    return boxed(html_table("", header, cells)) if cells else ""


def _cell(value: object) -> str:
    return "-" if value is ABSENT else cell_text(value)
