"""`mlx show`: how a run stands, what it did and where everything is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from specplan.base.redaction import hidden
from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_fields, write_json, write_section

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.results.open import Run
    from specplan.results.summary import Summary

ARTIFACT_COLUMNS = ("artifact", "kind", "phase", "epoch", "versions", "bytes", "file")
ENVIRONMENT_SECTIONS = ("versions", "host", "git")
"""The rest is for `mlx env`."""


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(run: str, root: Path | None, as_json: bool) -> None:
    """Show the status of RUN, its params and plan, its last metrics, what it recorded and where the files are.

    RUN is a run folder, EXPERIMENT/RUN, a run id, an experiment (its newest run), or an archive of a run. Of a sweep it
    is what `mlx sweep SPEC --status` prints, without its spec.

    \b
    Example:
      mlx show digits
      mlx show digits/sweep-20260101-120000
      mlx show runs/digits/20260101-120000 --json
      mlx show digits.run.mml
    """
    from specplan.results.open import open_run
    from specplan.store.root import runs_root
    from specplan.sweep.folder import named_sweep

    if (sweep := named_sweep(run, runs_root(root))) is not None:
        from specplan.cli.sweep_status import write_status

        write_status(sweep, as_json=as_json)
        return
    opened = open_run(run, root=root)
    if as_json:
        write_json(as_object(opened))
    else:
        _write(opened)


def as_object(run: Run) -> dict[str, Any]:
    """What is known of a run, as plain values. NaN and infinity become null in JSON."""
    from specplan.results.compare import environment_of
    from specplan.results.summary import Summary

    run_file, told = run.run_file, Summary(run)
    environment = environment_of(run)
    return {
        "run": run.id,
        "experiment": run.experiment,
        "version": run.version,
        "status": run.status.value,
        "error": msgspec.to_builtins(run_file.error),
        "plan": run_file.plan_id,
        "description": hidden("", run.plan.experiment.description),
        "tags": run.tags,
        "bindrs": told.said.get("bindrs", []),
        "metadata": told.said.get("metadata", {}),
        "params": run.params,
        "environment": {name: environment.get(name) for name in ENVIRONMENT_SECTIONS},
        "created_at": run_file.created_at,
        "ended_at": run_file.sessions[-1].ended_at,
        "folder": str(run.folder.place),
        "phases": msgspec.to_builtins(run.phases),
        "kept_epochs": run_file.kept_epochs,
        "statistics": run.statistics,
        "metrics": told.metrics,
        "spreads": [
            {
                **msgspec.structs.asdict(spread),
                "mean": spread.mean,
                "deviation": spread.deviation,
            }
            for spread in told.spreads
        ],
        "records": told.records,
        "artifacts": told.artifacts,
        "tables": [{"path": run.folder.shown(path), "rows": rows} for path, rows in told.tables],
    }


def write_end(run: Run) -> None:
    """What a run came to and where that is, to stdout."""
    from specplan.results.summary import Summary

    told = Summary(run)
    _write_measured(told)
    _write_places(run, told)


def write_spreads(told: Summary) -> None:
    """Mean and deviation of the metrics over folds and seeds, one line each, to stdout."""
    lines = [str(spread) for spread in told.spreads]
    if lines:
        click.echo()
        click.secho("over passes", bold=True)
        click.echo("\n".join(lines))


def _write(run: Run) -> None:
    from specplan.results.summary import (
        PARAM_COLUMNS,
        PHASE_COLUMNS,
        RECORD_COLUMNS,
        Summary,
        cells,
    )

    told = Summary(run)
    write_fields([*told.facts.items()])
    write_section("params", PARAM_COLUMNS, told.params)
    write_section("phases", PHASE_COLUMNS, [line.texts() for line in told.phases])
    for path, ending in told.endings:
        click.echo(f"{path}: {ending}")
    write_section("records", RECORD_COLUMNS, cells(told.records, RECORD_COLUMNS))
    _write_measured(told)
    write_section("artifacts", ARTIFACT_COLUMNS, cells(told.artifacts, ARTIFACT_COLUMNS))
    _write_places(run, told)


def _write_measured(told: Summary) -> None:
    from specplan.results.summary import METRIC_COLUMNS, cells

    write_section("metrics", METRIC_COLUMNS, cells(told.metrics, METRIC_COLUMNS))
    write_spreads(told)


def _write_places(run: Run, told: Summary) -> None:
    """Where the results are, and a line that reads them."""
    rows = [[run.folder.shown(path), str(rows)] for path, rows in told.tables]
    write_section("tables", ("file", "rows"), rows)
    query = (
        f'polars.scan_parquet("{told.tables[0][0]}").collect()'
        if told.tables and run.folder.archive is None
        else f'specplan.open("{run.folder.place}").metrics()'
    )
    click.echo()
    write_fields([("results", str(run.folder.place)), ("query", query)])
