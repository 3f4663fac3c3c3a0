"""Tables for people: rich on a terminal, aligned text everywhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from specplan.results.aligned import aligned, is_number_column

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout."""
    if not rows:
        return
    if not sys.stdout.isatty():
        click.echo("\n".join(aligned(header, rows)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, *cells in zip(header, *rows, strict=True):
        table.add_column(name, justify="right" if is_number_column(cells) else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def write_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Write names and values, one pair in a line, to stdout."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"{click.style(name.ljust(width), dim=True)}  {value}")
