"""`mlx validate`: whether a spec is well formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import composition_options, error_format_option, spec_argument
from specplan.cli.diagnose import refuse_plan, write_diagnostics
from specplan.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.composition import Composition


@click.command()
@spec_argument
@composition_options
@error_format_option
def command(spec: Path, composition: Composition, error_format: str) -> None:
    """Check the structure of a spec and its components, without looking at its data.

    `mlx compile` checks references, shapes and data as well.

    \b
    Example:
      mlx validate spec.json
      mlx validate spec.yaml --format json
    """
    from specplan.spec.load import load
    from specplan.spec.validate import validate

    refuse_plan(spec)
    try:
        validate(load(spec, composition))
    except SpecError as error:
        write_diagnostics(error.diagnostics, spec, error_format)
        raise click.exceptions.Exit(1) from error
    write_diagnostics((), spec, error_format)
    click.echo(f"{spec}: no errors", err=True)
