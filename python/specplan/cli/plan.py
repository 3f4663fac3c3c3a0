"""`mlx plan`: what a run will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import (
    check_data_option,
    composition_options,
    error_format_option,
    root_option,
    spec_argument,
    strict_option,
)
from specplan.cli.diagnose import read_or_compile, warn_of_space
from specplan.cli.tables import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.composition import Composition


@click.command()
@spec_argument
@composition_options
@root_option
@strict_option
@check_data_option
@error_format_option
@click.option("--json", "as_json", is_flag=True, help="Print the bill as one JSON object.")
def command(
    spec: Path,
    composition: Composition,
    root: Path | None,
    strict: bool,
    check_data: bool,
    error_format: str,
    as_json: bool,
) -> None:
    """Print what SPEC, a spec or a plan, will take: steps, parameters, FLOPs, memory, and space on the disk.

    Nothing is run, and of the data only headers are read.

    \b
    Example:
      mlx plan spec.json
      mlx plan spec.json -c plan.train.epochs=500
      mlx plan spec.plan.json --json
    """
    from specplan.plan.cost import cost
    from specplan.plan.cost_text import cost_text

    if as_json and error_format != "human":
        raise click.UsageError("--json and --format both write to stdout; give one of them")
    compiled = read_or_compile(
        spec, composition, strict=strict, check_data=check_data, error_format=error_format
    )
    if error_format != "human":
        return
    warn_of_space(compiled, spec, root)
    bill = cost(compiled.plan)
    if as_json:
        write_json(bill)
    else:
        click.echo(cost_text(bill), nl=False)
