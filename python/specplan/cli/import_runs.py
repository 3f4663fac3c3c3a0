"""`mlx import`: runs of other tools as run folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import root_option

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("mlflow", "tensorboard", "wandb", "jsonl")


@click.command()
@click.argument("path")
@click.option(
    "--from",
    "tool",
    type=click.Choice(TOOLS),
    required=True,
    help="What wrote it: mlflow (a database, a folder or a URL), tensorboard (event files), wandb (offline "
    "runs), jsonl (rows of metrics).",
)
@root_option
@click.option("--json", "as_json", is_flag=True, help="Print an array with an object for each run.")
def command(path: str, tool: str, root: Path | None, *, as_json: bool) -> None:
    """Make a run folder of every run at PATH, with params, metrics, tags, artifacts and status.

    A run that is there already is left as it is, and named. Nothing of PATH is executed, and only a URL
    is asked over the network.

    \b
    Example:
      mlx import --from mlflow mlflow.db
      mlx import --from tensorboard events --root runs
    """
    from specplan.base.amounts import count
    from specplan.cli.tables import write_json
    from specplan.exchange.sources import SOURCES
    from specplan.exchange.take import take
    from specplan.store.root import runs_root

    place = runs_root(root)
    taken = []
    for found in SOURCES[tool](path):
        folder = take(found, place, source=tool)
        name = f"{found.experiment}/{found.name}"
        taken.append({"run": name, "folder": None if folder is None else str(folder.path)})
        if folder is None:
            click.echo(f"skipped {name}: it is there already", err=True)
            continue
        if not as_json:
            values = count(sum(map(len, found.series.values())), "value")
            click.echo(f"{folder.path}  {values} of metrics, {count(len(found.files), 'artifact')}")
        for remark in found.remarks:
            click.echo(f"not taken of {name}: {remark}", err=True)
    if as_json:
        write_json(taken)
    elif not taken:
        click.echo(f"no runs in {path}", err=True)
