"""`mlx compare`: runs side by side."""

from __future__ import annotations

import csv
import html
import sys
from typing import TYPE_CHECKING, Any

import click

from specplan.cli.arguments import root_option
from specplan.cli.tables import write_json, write_section, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from specplan.results.comparison import Comparison, Group, Value

FORMATS = ("table", "json", "csv", "latex", "html")
VALUES = ("last", "min", "max", "mean")


@click.command()
@click.argument("runs", nargs=-1, required=True)
@root_option
@click.option(
    "--value",
    type=click.Choice(VALUES),
    default="last",
    show_default=True,
    help="What stands for the values of a metric.",
)
@click.option(
    "--over",
    metavar="SETTING",
    help="Take runs together that differ only in it, such as run.seed; needs --metric.",
)
@click.option("--metric", metavar="NAME", help="Only this metric, or those whose names end so.")
@click.option(
    "--format",
    "table_format",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="A table for people, JSON, or a table for a program, a paper or a page.",
)
def command(
    runs: tuple[str, ...],
    root: Path | None,
    value: Value,
    over: str | None,
    metric: str | None,
    table_format: str,
) -> None:
    """Show what was set otherwise in RUNS, and what each of them measured.

    RUNS are run folders, EXPERIMENT/RUN, run ids, experiments (all of their runs) or patterns with `*`. With
    --over there is one line for each group of runs that differ only in that setting: the mean of the metric, and
    how near it is with a confidence of 95 %. The groups are compared with the first in pairs of equal
    settings.

    \b
    Example:
      mlx compare digits
      mlx compare "digits/*" --over run.seed --metric accuracy
      mlx compare digits/20260101-120000 digits/20260102-120000 --format latex
    """
    from specplan.results.catalogue import find_runs
    from specplan.results.comparison import compare, groups
    from specplan.store.root import runs_root

    found = find_runs(runs, runs_root(root))
    if over is None:
        _write_comparison(_chosen(compare(found, value), metric), table_format)
        return
    if metric is None:
        raise click.UsageError("--over needs --metric: the mean of which metric?")
    gathered = groups(found, over, metric, value)
    if not gathered:
        raise click.UsageError(f"no run has a metric `{metric}`")
    _write_groups(gathered, table_format)


def _chosen(comparison: Comparison, metric: str | None) -> Comparison:
    import msgspec

    if metric is None:
        return comparison
    rows = tuple(
        row for row in comparison.metrics if row.name.split("/")[-1] == metric.split("/")[-1]
    )
    if not rows:
        known = ", ".join(row.name for row in comparison.metrics)
        raise click.UsageError(f"no run has a metric `{metric}`; there: {known or 'none'}")
    return msgspec.structs.replace(comparison, metrics=rows)


def _write_comparison(comparison: Comparison, table_format: str) -> None:
    if table_format == "json":
        write_json(
            {
                "runs": comparison.runs,
                "settings": {row.name: _plain(row.values) for row in comparison.settings},
                "metrics": {row.name: _plain(row.values) for row in comparison.metrics},
            }
        )
        return
    header = ("", *comparison.runs)
    settings = [[row.name, *map(_cell, row.values)] for row in comparison.settings]
    metrics = [[row.name, *map(_cell, row.values)] for row in comparison.metrics]
    if table_format != "table":
        _WRITERS[table_format](header, [*settings, *metrics])
        return
    write_table(header, settings or metrics)
    if settings:
        write_section("metrics", header, metrics)


def _write_groups(gathered: Sequence[Group], table_format: str) -> None:
    from specplan.results.comparison import paired

    names = list(dict.fromkeys(name for group in gathered for name in group.settings))
    header = (*names, "runs", "mean", "±95%", "vs first", "±95%", "pairs")
    rows: list[list[Any]] = []
    for group in gathered:
        pairs = None if group is gathered[0] else paired(gathered[0], group)
        difference = ("", "", "") if pairs is None else pairs
        own = [group.settings.get(name, "") for name in names]
        rows.append([*own, group.count, group.mean, group.half_width, *difference])
    if table_format == "json":
        keys = [
            *names,
            "runs",
            "mean",
            "half_width",
            "difference",
            "difference_half_width",
            "pairs",
        ]
        write_json([dict(zip(keys, _plain(row), strict=True)) for row in rows])
        return
    cells = [[_cell(value) for value in row] for row in rows]
    (_WRITERS[table_format] if table_format != "table" else write_table)(header, cells)


def _plain(values: Sequence[Any]) -> list[Any]:
    from specplan.results.comparison import ABSENT

    return [None if value is ABSENT or value == "" else value for value in values]


def _cell(value: Any) -> str:
    from specplan.results.comparison import ABSENT
    from specplan.results.table import cell_text

    return "-" if value is ABSENT else cell_text(value)


def _write_csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _write_latex(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [" & ".join(map(_latex, row)) + r" \\" for row in (header, *rows)]
    click.echo(f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}\n\\toprule")
    click.echo(f"{lines[0]}\n\\midrule")
    click.echo("\n".join(lines[1:]) + "\n\\bottomrule\n\\end{tabular}")


def _latex(text: str) -> str:
    for character in "\\{}":
        text = text.replace(character, {"\\": "\0", "{": r"\{", "}": r"\}"}[character])
    for character in "&%$#_":
        text = text.replace(character, f"\\{character}")
    text = text.replace("~", r"\textasciitilde{}").replace("^", r"\textasciicircum{}")
    return text.replace("±", r"$\pm$").replace("\0", r"\textbackslash{}")


def _write_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    click.echo(f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>")


_WRITERS = {"csv": _write_csv, "latex": _write_latex, "html": _write_html}
