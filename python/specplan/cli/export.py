"""`mlx export`: the Parquet tables of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.errors import RunError
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.results.open import Run


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option(
    "--force", is_flag=True, help="Also where there are tables, or the run still goes on."
)
def command(run: str, root: Path | None, force: bool) -> None:
    """Write tables/*.parquet of RUN, for a run that was killed before it could.

    \b
    Example:
      mlx export digits/20260101-120000
    """
    from specplan.results.open import open_run

    opened = open_run(run, root=root)
    if opened.status is Status.RUNNING and not force:
        raise RunError(
            f"run `{opened.experiment}/{opened.id}` is still running; "
            "its tables are written when it ends\n"
            "hint: `mlx metrics` reads it meanwhile; --force writes what is committed"
        )
    if not opened.folder.records.is_dir():
        raise RunError(f"run `{opened.experiment}/{opened.id}` has no records")
    written = _write_tables(opened, force=force)
    for path, rows in written:
        click.echo(f"{path}  {rows} rows")
    if not written:
        click.echo("every table is there; --force writes them again", err=True)


def _write_tables(run: Run, *, force: bool) -> list[tuple[Path, int]]:
    from specplan._native import export_execution, export_metrics
    from specplan.plan.by_feed import has_one_table

    folder = run.folder
    folder.tables.mkdir(exist_ok=True)
    records = str(folder.records)
    written = []
    if force or not folder.metrics_table.is_file():
        rows = export_metrics(records, str(folder.metrics_table), run_id=run.id)
        written.append((folder.metrics_table, rows))
    apart = {phase.path for phase in run.plan.phases if not has_one_table(phase)}
    for phase in dict.fromkeys(channel.phase for channel in run.channels()):
        if phase in apart:
            continue
        path = folder.execution_table(phase)
        if force or not path.is_file():
            kept = run.kept_epoch(phase)
            rows = export_execution(records, phase, str(path), run_id=run.id, epoch=kept)
            written.append((path, rows))
    return written
