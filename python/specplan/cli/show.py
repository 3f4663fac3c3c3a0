"""`mlx show`: how a run stands, what it did and where everything is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import tags_text, write_fields, write_json, write_section
from specplan.plan.model import Call, Train
from specplan.spec.redaction import hidden

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from specplan.plan.model import Phase
    from specplan.results.open import Run

RECORD_COLUMNS = ("phase", "node", "role", "field", "dtype", "shape", "batches", "rows")
PHASE_COLUMNS = ("phase", "kind", "split", "rows", "steps", "epoch", "kept", "status")
ARTIFACT_COLUMNS = ("artifact", "kind", "epoch", "versions", "bytes", "file")
ENVIRONMENT_SECTIONS = ("versions", "host", "git")
"""The rest is for `mlx env`."""
SHOWN_VERSIONS = ("python", "specplan", "torch")
METRIC_COLUMNS = ("phase", "split", "node", "name", "epoch", "value")


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
        write_json(summary(opened))
    else:
        _write_head(opened)
        _write_params(opened)
        _write_plan(opened)
        _write_records(opened)
        write_last_metrics(opened)
        write_spreads(opened)
        _write_artifacts(opened)
        write_places(opened)


def summary(run: Run) -> dict[str, Any]:
    """What is known of a run, as plain values. NaN and infinity become null in JSON."""
    from specplan.results.compare import environment_of
    from specplan.results.metrics import last_values
    from specplan.results.table import plain_rows

    run_file = run.run_file
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
        "params": run.params,
        "environment": {name: environment.get(name) for name in ENVIRONMENT_SECTIONS},
        "created_at": run_file.created_at,
        "ended_at": run_file.sessions[-1].ended_at,
        "folder": str(run.folder.place),
        "phases": msgspec.to_builtins(run.phases),
        "kept_epochs": run_file.kept_epochs,
        "statistics": run.statistics,
        "metrics": plain_rows(last_values(run.metrics().arrow, run_file.kept_epochs)),
        "spreads": [
            {
                **msgspec.structs.asdict(spread),
                "mean": spread.mean,
                "deviation": spread.deviation,
            }
            for spread in run.spreads()
        ],
        "records": _records(run),
        "artifacts": _artifacts(run),
        "tables": [{"path": run.folder.shown(path), "rows": rows} for path, rows in _tables(run)],
    }


def write_last_metrics(run: Run) -> None:
    """The last value of every series, or that of the epoch that was restored, to stdout."""
    from specplan.results.metrics import last_values
    from specplan.results.table import cell_text, plain_rows

    last = last_values(run.metrics().arrow, run.run_file.kept_epochs)
    rows = plain_rows(last.select(METRIC_COLUMNS))
    write_section("metrics", METRIC_COLUMNS, [[*map(cell_text, row.values())] for row in rows])


def write_spreads(run: Run) -> None:
    """Mean and deviation of the metrics over folds and seeds, one line each, to stdout."""
    lines = [str(spread) for spread in run.spreads()]
    if lines:
        click.echo()
        click.secho("over passes", bold=True)
        click.echo("\n".join(lines))


def write_places(run: Run) -> None:
    """Where the results are, and a line that reads them, to stdout."""
    tables = _tables(run)
    write_section(
        "tables", ("file", "rows"), [[run.folder.shown(path), str(rows)] for path, rows in tables]
    )
    query = (
        f'polars.scan_parquet("{tables[0][0]}").collect()'
        if tables and run.folder.archive is None
        else f'specplan.open("{run.folder.place}").metrics()'
    )
    click.echo()
    write_fields([("results", str(run.folder.place)), ("query", query)])


def _write_head(run: Run) -> None:
    run_file = run.run_file
    fields = [
        ("run", f"{run.experiment}/{run.id}  version {run.version}"),
        ("status", run.status.value),
    ]
    if run_file.error is not None:
        fields.append(("error", f"{run_file.error.type}: {run_file.error.message}"))
        fields.append(("", run.folder.shown(run.folder.error_log)))
    fields.append(("started", run_file.created_at))
    if (ended := run_file.sessions[-1].ended_at) is not None:
        seconds = _seconds_between(run_file.created_at, ended)
        fields.append(("ended", f"{ended}  ({seconds:.1f} s)"))
    if (lost := losses(run.statistics)) is not None:
        fields.append(("lost", lost))
    if stalls := run.statistics.get("stalls"):
        seconds = run.statistics["stall_nanoseconds"] / 1e9
        times = "once" if stalls == 1 else f"{stalls} times"
        fields.append(
            ("stalled", f"{times}, {seconds:.3f} s in all: the disk was slower than the run")
        )
    fields.append(("plan", run_file.plan_id))
    if description := hidden("", run.plan.experiment.description):
        fields.append(("about", description))
    if tags := run.tags:
        fields.append(("tags", tags_text(tags)))
    if environment := _environment(run):
        fields.append(("with", environment))
    write_fields(fields)


def _environment(run: Run) -> str:
    """What it ran with, in short."""
    from specplan.results.compare import environment_of

    found = environment_of(run)
    versions, host, git = (found.get(name) or {} for name in ENVIRONMENT_SECTIONS)
    parts = [f"{name} {versions[name]}" for name in SHOWN_VERSIONS if name in versions]
    if host.get("system"):
        parts.append(f"{host['system']} {host.get('machine', '')}".rstrip())
    if commit := git.get("commit"):
        changed = any(git.get(name) for name in ("modified", "staged"))
        parts.append(f"commit {commit[:12]}{' with changes' if changed else ''}")
    return ", ".join(parts)


def _write_params(run: Run) -> None:
    from specplan.results.settings import leaves
    from specplan.results.table import cell_text

    rows = [[name, cell_text(value)] for name, value in leaves(run.params).items()]
    write_section("params", ("param", "value"), rows)


def losses(statistics: Mapping[str, int]) -> str | None:
    """What could not be written, in words; None where nothing was lost."""
    nouns = {
        "dropped": "record",
        "dropped_artifacts": "artifact",
        "dropped_tables": "table",
        "dropped_checkpoints": "checkpoint",
    }
    lost = [
        f"{count} {noun}{'' if count == 1 else 's'}"
        for name, noun in nouns.items()
        if (count := statistics.get(name, 0))
    ]
    return ", ".join(lost) or None


def _write_plan(run: Run) -> None:
    from specplan.results.metrics import last_epochs

    timings = {timing.path: timing for timing in run.phases}
    epochs = last_epochs(run.metrics().arrow)
    rows = []
    for phase in run.plan.phases:
        timing = timings.get(phase.path)
        status = "" if timing is None else timing.status.value
        epoch = str(epochs.get(phase.path, "")) if isinstance(phase, Train) else ""
        kept = str(run.run_file.kept_epochs.get(phase.path, ""))
        numbers = (str(phase.rows), _steps(phase), epoch, kept)
        if isinstance(phase, Call):
            numbers = ("", "", "", "")
        rows.append([phase.path, _kind(phase), phase.split or "", *numbers, status])
    write_section("phases", PHASE_COLUMNS, rows)
    for timing in run.phases:
        if timing.ending is not None:
            click.echo(f"{timing.path}: {timing.ending}")
        if timing.reason is not None:
            click.echo(f"{timing.path}: skipped, {timing.reason}")


def _write_records(run: Run) -> None:
    rows = [[_record_text(record[name]) for name in RECORD_COLUMNS] for record in _records(run)]
    write_section("records", RECORD_COLUMNS, rows)


def _write_artifacts(run: Run) -> None:
    rows = [["" if cell is None else str(cell) for cell in row.values()] for row in _artifacts(run)]
    write_section("artifacts", ARTIFACT_COLUMNS, rows)


def _artifacts(run: Run) -> list[dict[str, Any]]:
    artifacts = run.artifacts
    return [
        {
            "artifact": name,
            "kind": artifact.kind,
            "epoch": artifact.epoch,
            "versions": artifact.version,
            "bytes": artifact.bytes,
            "file": run.folder.shown(artifact.path),
        }
        for name, artifact in artifacts.items()
    ]


def _records(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "phase": tensors.phase,
            "node": tensors.node,
            "role": tensors.role,
            "field": tensors.field,
            "dtype": tensors.dtype,
            "shape": list(tensors.shape),
            "batches": len(tensors),
            "rows": tensors.rows,
        }
        for tensors in run.channels()
    ]


def _record_text(value: object) -> str:
    if isinstance(value, list):
        return "x".join("?" if n is None else str(n) for n in value) or "scalar"
    return str(value)


def _tables(run: Run) -> list[tuple[Path, int]]:
    from specplan._native import read_table_header

    planned = [run.folder.execution_table(name) for name in run.execution_tables()]
    places = {path: place for place, path in enumerate([run.folder.metrics_table, *planned])}
    tables = [path for path in run.folder.tables.glob("*.parquet") if path.is_file()]
    paths = sorted(tables, key=lambda path: (places.get(path, len(places)), path.name))
    return [(path, read_table_header(str(path), "parquet").rows) for path in paths]


def _kind(phase: Phase) -> str:
    return str(phase.__struct_config__.tag)


def _steps(phase: Phase) -> str:
    return f"{phase.epochs} x {phase.steps}" if isinstance(phase, Train) else str(phase.steps)


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
