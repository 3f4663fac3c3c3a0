"""`mlx compare`: runs side by side."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import fitting, format_option, write_json, write_section, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from specplan.results.comparison import Comparison, Group, Value
    from specplan.results.open import Run

VALUES = ("last", "min", "max", "mean")
GROUP_COLUMNS = ("runs", "mean", "±95%", "vs first", "±95%", "pairs")
GROUP_KEYS = ("runs", "mean", "half_width", "difference", "difference_half_width", "pairs")


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete_runs)
@root_option
@click.option(
    "--value",
    "values",
    type=click.Choice(VALUES),
    multiple=True,
    default=("last",),
    show_default="last",
    help="What stands for the values of a metric. May be repeated: a line for each.",
)
@click.option(
    "--over",
    metavar="SETTING",
    help="Take runs together that differ only in it, such as run.seed; or `fold`: the folds, or seeds, inside each run.",
)
@click.option("--metric", metavar="NAME", help="Only this metric, or those whose names end so.")
@format_option("json", "csv", "latex", "html")
def command(
    runs: tuple[str, ...],
    root: Path | None,
    values: tuple[Value, ...],
    over: str | None,
    metric: str | None,
    table_format: str,
) -> None:
    """Show what was set otherwise in RUNS, and what each of them measured.

    RUNS are run folders, EXPERIMENT/RUN, run ids, experiments (all of their runs) or patterns with `*`. With
    --over there is one line for each metric and group of runs that differ only in that setting: the mean, and
    how near it is with a confidence of 95 %. The groups are compared with the first in pairs of equal
    seeds, folds or settings.

    \b
    Example:
      mlx compare digits
      mlx compare "digits/*" --over run.seed --metric accuracy
      mlx compare digits/20260101-120000 digits/20260102-120000 --over fold --csv
    """
    from specplan.results.catalogue import find_runs
    from specplan.store.root import runs_root

    found = find_runs(runs, runs_root(root))
    if over is None:
        _write_comparison(_comparison(found, values, metric), table_format)
    elif len(values) > 1:
        raise click.UsageError("--over takes one --value")
    else:
        _write_groups(_gathered(found, over, metric, values[0]), table_format)


def _comparison(found: Sequence[Run], values: Sequence[Value], metric: str | None) -> Comparison:
    import msgspec

    from specplan.results.comparison import Row, compare

    compared = {value: _chosen(compare(found, value), metric) for value in values}
    first = compared[values[0]]
    if len(compared) == 1:
        return first
    rows = [
        Row(f"{row.name} ({value})", row.values)
        for rows in zip(*(each.metrics for each in compared.values()), strict=True)
        for value, row in zip(compared, rows, strict=True)
    ]
    return msgspec.structs.replace(first, metrics=tuple(rows))


def _gathered(
    found: Sequence[Run], over: str, metric: str | None, value: Value
) -> dict[str, list[Group]]:
    """The groups of each metric."""
    from specplan.results.comparison import folds, groups, is_setting, metrics_of

    of_setting = is_setting(found, over)
    if not of_setting and over != "fold":
        raise click.UsageError(f"no run has a setting `{over}`")
    if not of_setting and value != "last":
        raise click.UsageError("--over fold takes last values")
    if metric is not None:
        names = [metric]
    elif of_setting:
        names = list(dict.fromkeys(name for run in found for name in metrics_of(run, value)))
    else:
        spreads = (spread for run in found for spread in run.spreads())
        names = list(dict.fromkeys(f"{spread.phase}/{spread.name}" for spread in spreads))
    gathered = {
        name: groups(found, over, name, value) if of_setting else folds(found, name)
        for name in names
    }
    if not any(gathered.values()):
        what = f"no run has a metric `{metric}`" if metric else "no run has a metric"
        raise click.UsageError(what if of_setting else f"{what} in folds")
    return gathered


def _chosen(comparison: Comparison, metric: str | None) -> Comparison:
    import msgspec

    from specplan.results.settings import ends_in
    from specplan.spec.wording import choices

    if metric is None:
        return comparison
    rows = tuple(row for row in comparison.metrics if ends_in(row.name, metric))
    if not rows:
        known = choices(metric, [row.name for row in comparison.metrics])
        raise click.UsageError(f"no run has a metric `{metric}`; there: {known}")
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
    header = _heads(comparison.runs, whole=table_format == "csv")
    cell = _whole if table_format == "csv" else _cell
    settings = [[row.name, *map(cell, row.values)] for row in comparison.settings]
    metrics = [[row.name, *map(cell, row.values)] for row in comparison.metrics]
    if table_format != "table":
        _WRITERS[table_format](header, [*settings, *metrics])
        return
    for number, (names, rows) in enumerate(fitting(header, [*settings, *metrics])):
        if number:
            click.echo()
        write_table(names, rows[: len(settings)] or rows)
        if settings:
            write_section("metrics", names, rows[len(settings) :])


def _heads(runs: Sequence[str], *, whole: bool) -> tuple[str, ...]:
    """Names of columns: for people what all runs have in common, their experiment, stands only once."""
    experiment, *others = {run.rpartition("/")[0] for run in runs}
    if whole or others:
        return ("", *runs)
    return (experiment, *(run.rpartition("/")[2] for run in runs))


def _write_groups(gathered: Mapping[str, Sequence[Group]], table_format: str) -> None:
    every = [group for groups in gathered.values() for group in groups]
    names = list(dict.fromkeys(name for group in every for name in group.settings))
    rows = [
        row for metric, groups in gathered.items() for row in _group_rows(metric, groups, names)
    ]
    if table_format == "json":
        keys = ("metric", *names, *GROUP_KEYS)
        write_json([dict(zip(keys, _plain(row), strict=True)) for row in rows])
        return
    cell, columns = (_whole, GROUP_KEYS) if table_format == "csv" else (_cell, GROUP_COLUMNS)
    header: tuple[str, ...] = ("metric", *names, *columns)
    cells = [[cell(value) for value in row] for row in rows]
    if len(gathered) == 1:  # somebody asked for it by name
        header, cells = header[1:], [row[1:] for row in cells]
    (_WRITERS[table_format] if table_format != "table" else write_table)(header, cells)


def _group_rows(metric: str, groups: Sequence[Group], names: Sequence[str]) -> list[list[Any]]:
    from specplan.results.comparison import paired

    rows: list[list[Any]] = []
    for group in groups:
        pairs = None if group is groups[0] else paired(groups[0], group)
        difference = ("", "", "") if pairs is None else pairs
        own = [group.settings.get(name, "") for name in names]
        values = (group.count, group.mean, group.half_width, *difference)
        # One run, or one pair, has no interval.
        rows.append([metric, *own, *("" if value is None else value for value in values)])
    return rows


def _plain(values: Sequence[Any]) -> list[Any]:
    from specplan.results.comparison import ABSENT

    return [None if value is ABSENT or value == "" else value for value in values]


def _cell(value: Any) -> str:
    from specplan.results.comparison import ABSENT
    from specplan.results.table import cell_text

    return "-" if value is ABSENT else cell_text(value)


def _whole(value: Any) -> str:
    """For programs: every digit of a number."""
    return str(value) if isinstance(value, float) else _cell(value)


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
    from specplan.results.html import html_table

    click.echo(html_table("", header, rows))


_WRITERS = {"csv": _write_csv, "latex": _write_latex, "html": _write_html}
