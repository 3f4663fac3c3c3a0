"""`mlx schema`: the contract of specs."""

from __future__ import annotations

from importlib.resources import files

import click


@click.command()
def command() -> None:
    """Print the JSON schema of specs, for editors and checkers.

    \b
    Example:
      mlx schema > experiment.schema.json
    """
    schema = files("specplan").joinpath("_schemas", "experiment.schema.json")
    click.echo(schema.read_text(encoding="utf-8"), nl=False)
