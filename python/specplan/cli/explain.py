"""`mlx explain`: a plan as text that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import spec_argument
from specplan.cli.diagnose import compile_or_exit

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@spec_argument
def command(spec: Path) -> None:
    """Print what a spec would run: data, graph, shapes and phases. Writes nothing.

    \b
    Example:
      mlx explain spec.json
    """
    from specplan.plan.explain import explain

    click.echo(explain(compile_or_exit(spec, "human").plan))
