"""`mlx export`: the tables of a run, and the run as other tools keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.sync import TargetType, write_outcome
from specplan.errors import RunError
from specplan.spec.wording import choices
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.exchange.targets import Target
    from specplan.results.open import Run


FORMATS = ("parquet", "csv")


class FormatType(TargetType):
    """A format of tables, or a place."""

    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in FORMATS:
            return value
        if isinstance(value, str) and ":" not in value:
            known = f"{choices(value, FORMATS)}; or a place, such as `tensorboard:DIR`"
            return self.fail(f"no format `{value}`; known: {known}", param, ctx)
        return super().convert(value, param, ctx)


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option(
    "--to",
    "target",
    type=FormatType(),
    default="parquet",
    show_default=True,
    metavar="FORMAT",
    help="parquet or csv, written to tables/ of the run; or a place as `mlx sync` has it: mlflow:URI, "
    "tensorboard:DIR.",
)
@click.option(
    "--force", is_flag=True, help="Also where there are tables, or the run still goes on."
)
def command(run: str, root: Path | None, target: str | Target, force: bool) -> None:
    """Write the tables of RUN, or the run as another tool keeps it.

    A run that ends writes tables/*.parquet itself; one that was killed has them from here.

    \b
    Example:
      mlx export digits/20260101-120000
      mlx export digits --to csv
      mlx export digits --to tensorboard:events
    """
    from specplan.results.locate import find_run
    from specplan.results.open import Run
    from specplan.store.root import runs_root

    opened = Run(find_run(run, runs_root(root), archives=not isinstance(target, str)))
    if opened.status is Status.RUNNING and not force:
        raise RunError(
            f"run `{opened.experiment}/{opened.id}` is still running; "
            "its tables are written when it ends\n"
            "hint: `mlx metrics` reads it meanwhile; --force writes what is committed"
        )
    if not opened.folder.records.is_dir():
        raise RunError(f"run `{opened.experiment}/{opened.id}` has no records")
    if not isinstance(target, str):
        write_outcome(target.send(opened))
        return
    written = _write_csv(opened) if target == "csv" else _write_tables(opened, force=force)
    for path, rows in written:
        click.echo(f"{path}  {rows} rows")
    if not written:
        click.echo("every table is there; --force writes them again", err=True)


def _write_csv(run: Run) -> list[tuple[Path, int]]:
    from specplan.exchange.to_csv import write_csv

    return write_csv(run)


def _write_tables(run: Run, *, force: bool) -> list[tuple[Path, int]]:
    from specplan._native import export_execution, export_metrics

    folder = run.folder
    folder.tables.mkdir(exist_ok=True)
    records = str(folder.records)
    written = []
    if force or not folder.metrics_table.is_file():
        rows = export_metrics(records, str(folder.metrics_table), run_id=run.id)
        written.append((folder.metrics_table, rows))
    for table, (phase, nodes) in run.execution_tables().items():
        path = folder.execution_table(table)
        if force or not path.is_file():
            kept = run.kept_epoch(phase)
            rows = export_execution(
                records, phase, str(path), run_id=run.id, epoch=kept, nodes=nodes
            )
            written.append((path, rows))
    return written
