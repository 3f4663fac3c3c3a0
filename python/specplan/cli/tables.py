"""Tables for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from specplan.results.aligned import GAP, aligned, cells_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

F = TypeVar("F", bound="Callable[..., Any]")

SAID = {"json": "JSON", "csv": "CSV", "latex": "a table of LaTeX", "html": "a table of HTML"}


def format_option(*formats: str) -> Callable[[F], F]:
    """--format, and for each of its values an option of that name, as the argument `table_format`."""

    def add(function: F) -> F:
        for name in reversed(formats):
            flag = click.option(
                f"--{name}", "table_format", flag_value=name, help=f"Print {SAID[name]}."
            )
            function = flag(function)
        return click.option(
            "--format",
            "table_format",
            type=click.Choice(["table", *formats]),
            default="table",
            show_default=True,
            help="A table for people, or what a program, a paper or a page takes, with every column.",
        )(function)

    return add


def fitting(
    header: Sequence[str], rows: Sequence[Sequence[str]]
) -> Iterator[tuple[list[str], list[list[str]]]]:
    """A table, or several that are as wide as the terminal at most, each with the first column; whole where there is none."""
    if not is_terminal():
        yield [*header], [[*row] for row in rows]
        return
    import shutil

    most = shutil.get_terminal_size().columns
    first, *widths = (
        max(map(cells_of, column)) + len(GAP) for column in zip(header, *rows, strict=True)
    )
    chosen: list[int] = []
    taken = first
    for index, width in enumerate(widths, 1):
        if chosen and taken + width - len(GAP) > most:
            yield _columns(header, rows, chosen)
            chosen, taken = [], first
        chosen.append(index)
        taken += width
    yield _columns(header, rows, chosen)


def is_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def _columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], chosen: Sequence[int]
) -> tuple[list[str], list[list[str]]]:
    """The first column, and some."""
    return [header[0], *(header[at] for at in chosen)], [
        [row[0], *(row[at] for at in chosen)] for row in rows
    ]


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout, its cells whole however narrow a terminal is: people copy them."""
    if not rows:
        return
    names, *lines = aligned(header, [[*map(_printable, row)] for row in rows])
    click.secho(names, bold=True)
    click.echo("\n".join(lines))


def write_json(value: object) -> None:
    """Write a value as indented JSON to stdout. NaN and infinity become null."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def write_section(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table under a title to stdout, or nothing where it has no rows."""
    if rows:
        click.echo()
        click.secho(title, bold=True)
        write_table(header, rows)


def write_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Write names and values, one pair in a line, to stdout."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"{click.style(name.ljust(width), dim=True)}  {value}")


def _printable(cell: str) -> str:
    """A cell on one line: what a run says of itself must not move the cursor."""
    if cell.isprintable():
        return cell
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in cell)
