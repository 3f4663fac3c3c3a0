"""`mlx repair`: what is whole of a damaged run, in a copy."""

from __future__ import annotations

from pathlib import Path

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_json


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option(
    "--to",
    "copy",
    type=click.Path(path_type=Path),
    required=True,
    metavar="COPY",
    help="Folder of the copy; it must not exist.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(run: str, root: Path | None, copy: Path, as_json: bool) -> None:
    """Write everything of RUN that is not damaged into COPY, and list what was left out.

    RUN is not changed. Exit code 1 if nothing could be saved.

    \b
    Example:
      mlx repair digits/20260101-120000 --to repaired
    """
    from specplan.results.locate import find_folder
    from specplan.results.repair import repair_run
    from specplan.store.root import runs_root

    repair = repair_run(find_folder(run, runs_root(root)), copy)
    if as_json:
        write_json(repair)
        return
    for line in repair.left_out:
        click.echo(f"left out  {line}")
    for line in repair.unproven:
        click.echo(f"unproven  {line}")
    click.echo(
        f"{repair.batches} batches, {repair.metric_rows} metric rows, {repair.files} other files "
        f"saved in {repair.copy}; {len(repair.left_out) or 'nothing'} left out"
    )
