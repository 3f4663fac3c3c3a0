"""`mlx validate`: whether a spec is right, as far as that is known without its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import (
    composition_options,
    error_format_option,
    spec_argument,
    strict_option,
)
from specplan.cli.diagnose import refuse_plan, write_diagnostics
from specplan.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.composition import Composition


@click.command()
@spec_argument
@composition_options
@strict_option
@error_format_option
def command(spec: Path, composition: Composition, strict: bool, error_format: str) -> None:
    """Check a spec as `mlx compile` does, and write nothing.

    Its data need not be there: what only their headers tell is then left unchecked, and the last
    line says so.

    \b
    Example:
      mlx validate spec.json
      mlx validate spec.yaml --strict --format json
    """
    from specplan.plan.analyse import analyse
    from specplan.spec.load import load

    refuse_plan(spec)
    try:
        analysis = analyse(load(spec, composition), needs_data=False, strict=strict)
    except SpecError as error:
        write_diagnostics(error.diagnostics, spec, error_format)
        raise click.exceptions.Exit(1) from error
    write_diagnostics(analysis.warnings, spec, error_format)
    unchecked = f"; columns and rows of {', '.join(analysis.unread)} were not checked: not found"
    click.echo(f"{spec}: no errors{unchecked if analysis.unread else ''}", err=True)
