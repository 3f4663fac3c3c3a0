"""`mlx best`: the runs that did best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_json, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from specplan.results.comparison import Value

RISING = ("accuracy", "r2", "f1", "precision", "recall", "auc")
"""How names end of metrics of which the greatest value is the best, where nobody says otherwise."""


@click.command()
@click.argument("metric")
@click.argument("runs", nargs=-1, shell_complete=complete_runs)
@root_option
@click.option(
    "--mode",
    type=click.Choice(["min", "max"]),
    help="Whether the least or the greatest value is the best. [default: max for accuracy, r2, f1, precision, "
    "recall and auc, else min]",
)
@click.option(
    "--value",
    type=click.Choice(["last", "best"]),
    default="last",
    show_default=True,
    help="The last value of each run, or its best one.",
)
@click.option("--count", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(
    metric: str,
    runs: tuple[str, ...],
    root: Path | None,
    mode: str | None,
    value: str,
    count: int,
    as_json: bool,
) -> None:
    """Rank RUNS by METRIC, the best first; all runs where none is named.

    METRIC is a name such as `accuracy`, or with its phase, `test/accuracy`. Runs without it are left out. Of a
    cross-validation, or a plan with several seeds, the mean over folds and seeds counts; one of them is named
    with it, `fold_0.test/accuracy`.

    \b
    Example:
      mlx best val_loss
      mlx best test/accuracy digits --count 1 --json
      mlx best reward --mode max
    """
    from specplan.store.root import runs_root

    mode = mode or ("max" if metric.endswith(RISING) else "min")
    taken: Value = "last" if value == "last" else "max" if mode == "max" else "min"
    found = [*_measured(runs, runs_root(root), taken)]
    ranked: list[dict[str, Any]] = [
        {"metric": name, "value": number, **facts}
        for facts, means, metrics in found
        for name, number in (_meant(means, metric) or _meant(metrics, metric)).items()
        if not math.isnan(number)
    ]
    if not ranked:
        raise click.UsageError(_unknown(metric, [metrics for *_, metrics in found]))
    ranked.sort(key=lambda row: row["value"], reverse=mode == "max")
    if as_json:
        write_json(ranked[:count])
        return
    header = ("metric", "value", "experiment", "run", "status")
    write_table(header, [[_cell(row[name]) for name in header] for row in ranked[:count]])


def _measured(
    names: Sequence[str], root: Path, value: Value
) -> Iterator[tuple[dict[str, str], dict[str, float], dict[str, float]]]:
    """Facts of each run, its means and its metrics: where all last values are asked for, as the index knows them."""
    if names or value != "last":
        from specplan.results.catalogue import find_runs
        from specplan.results.comparison import means_of, metrics_of

        for run in find_runs(names, root):
            facts = {"experiment": run.experiment, "run": run.id, "status": str(run.status)}
            facts |= {"folder": str(run.folder.place)}
            yield facts, means_of(run, value), metrics_of(run, value)
        return
    from specplan.results.index import Index

    index = Index(root)
    for each in index.runs(lambda _: True):
        facts = {"experiment": each.entry.experiment, "run": each.entry.run_id}
        facts |= {"status": str(each.status), "folder": str(each.folder.path)}
        yield facts, each.means, each.metrics
    index.save()
    for fault in index.faults:
        click.echo(f"warning: {fault}", err=True)


def _meant(metrics: Mapping[str, float], name: str) -> dict[str, float]:
    from specplan.results.settings import ends_in

    return {each: number for each, number in metrics.items() if ends_in(each, name)}


def _unknown(metric: str, found: Sequence[dict[str, float]]) -> str:
    from specplan.spec.wording import choices

    known = sorted({name.rpartition("/")[2] for metrics in found for name in metrics})
    there = f"; there: {choices(metric, known)}" if known else ""
    return f"no run has a value of `{metric}`{there}"


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
