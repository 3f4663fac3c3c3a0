"""`mlx verify`: every digest of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.results.verify import Verification


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def command(context: click.Context, run: str, root: Path | None, as_json: bool) -> None:
    """Compare every file of RUN with its digests, and list what is damaged.

    RUN may be running, or killed. Exit code 1 if anything is damaged.

    \b
    Example:
      mlx verify digits/20260101-120000
    """
    from specplan.results.locate import find_folder
    from specplan.results.verify import verify_run
    from specplan.store.root import runs_root

    found = verify_run(find_folder(run, runs_root(root)))
    if as_json:
        write_json(found)
    else:
        for damage in found.damages:
            click.echo(str(damage))
        click.echo(_summary(found))
    context.exit(1 if found.damages else 0)


def _summary(found: Verification) -> str:
    count = len(found.damages)
    damages = "no damage" if not count else f"{count} damage{'s' if count > 1 else ''}"
    return (
        f"{found.batches} batches, {found.metric_rows} metric rows, {found.files} files: {damages}"
    )
