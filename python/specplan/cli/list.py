"""`mlx list`: the runs below a root."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from specplan.cli.arguments import root_option
from specplan.cli.tables import write_table
from specplan.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.store.layout import RunFolder

HEADER = ("experiment", "run", "version", "status", "host", "started", "plan")


@click.command()
@click.argument("experiment", required=False)
@root_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(experiment: str | None, root: Path | None, as_json: bool) -> None:
    """List the runs below a root, or those of one EXPERIMENT, oldest first.

    \b
    Example:
      mlx list
      mlx list digits --root results --json
    """
    from specplan.results.locate import all_runs, experiment_of
    from specplan.store.root import runs_root

    place = runs_root(root)
    folders = [
        folder
        for folder in all_runs(place)
        if experiment is None or experiment_of(folder, place) == experiment
    ]
    rows = [row for folder in folders if (row := _row(folder)) is not None]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    if not rows:
        of = f" of `{experiment}`" if experiment else ""
        click.echo(f"no runs{of} below {place}", err=True)
        return
    cells = [[str(row[name]) for name in HEADER[:-1]] + [str(row["plan"])[:15]] for row in rows]
    write_table(HEADER, cells)


def _row(folder: RunFolder) -> dict[str, str | int] | None:
    from specplan.results.status import read_run_file, status_now

    try:
        run_file = read_run_file(folder)
    except RunError as error:
        # One damaged run must not hide the others.
        click.echo(f"warning: {error}", err=True)
        return None
    return {
        "experiment": run_file.experiment,
        "run": run_file.run_id,
        "version": run_file.version,
        "status": status_now(run_file).value,
        "host": run_file.sessions[-1].host,
        "started": run_file.created_at,
        "plan": run_file.plan_id,
        "folder": str(folder.path),
    }
