"""`mlx best`: the runs that did best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_json, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.results.comparison import Value


@click.command()
@click.argument("metric")
@click.argument("runs", nargs=-1, shell_complete=complete_runs)
@root_option
@click.option(
    "--mode",
    type=click.Choice(["min", "max"]),
    default="min",
    show_default=True,
    help="Whether the least or the greatest value is the best.",
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
    mode: str,
    value: str,
    count: int,
    as_json: bool,
) -> None:
    """Rank RUNS by METRIC, the best first; all runs where none is named.

    METRIC is a name such as `accuracy`, or with its phase, `test/accuracy`. Runs without it are left out.

    \b
    Example:
      mlx best val_loss
      mlx best test/accuracy digits --mode max --count 1 --json
    """
    from specplan.results.catalogue import find_runs
    from specplan.results.comparison import metrics_of
    from specplan.store.root import runs_root

    taken: Value = "last" if value == "last" else "max" if mode == "max" else "min"
    ranked = []
    for run in find_runs(runs, runs_root(root)):
        for name, number in metrics_of(run, taken).items():
            if (name == metric or name.endswith(f"/{metric}")) and not math.isnan(number):
                ranked.append((number, name, run))
    if not ranked:
        raise click.UsageError(f"no run has a value of `{metric}`")
    ranked.sort(key=lambda each: each[0], reverse=mode == "max")
    rows = [
        {
            "metric": name,
            "value": number,
            "experiment": run.experiment,
            "run": run.id,
            "status": str(run.status),
            "folder": str(run.folder.place),
        }
        for number, name, run in ranked[:count]
    ]
    if as_json:
        write_json(rows)
        return
    header = ("metric", "value", "experiment", "run", "status")
    write_table(header, [[_cell(row[name]) for name in header] for row in rows])


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
