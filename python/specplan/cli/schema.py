"""`mlx schema`: the contract of specs."""

from __future__ import annotations

import json
from importlib.resources import files

import click


@click.command()
@click.argument("of", type=click.Choice(["experiment", "plan", "record"]), default="experiment")
def command(of: str) -> None:
    """Print the JSON schema of specs, for editors and checkers; or that of plans, or of the files of a run.

    Components of installed packages are part of that of specs.

    \b
    Example:
      mlx schema > experiment.schema.json
      mlx schema plan
    """
    from specplan.components.plugins import NOTHING, installed

    text = files("specplan").joinpath("_schemas", f"{of}.schema.json").read_text("utf-8")
    if of == "experiment" and installed() != NOTHING:
        from specplan.code.schema import with_plugins

        schema, broken = with_plugins(json.loads(text))
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for what in broken:
            click.echo(f"warning: {what}", err=True)
    click.echo(text, nl=False)
