"""`mlx explain`: a plan as text that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import composition_options, spec_argument
from specplan.cli.diagnose import read_or_compile

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.composition import Composition


@click.command()
@spec_argument
@composition_options
def command(spec: Path, composition: Composition) -> None:
    """Print what SPEC, a spec or a plan, would run: data, graph, shapes, phases. Writes nothing.

    \b
    Example:
      mlx explain spec.json
    """
    from specplan.plan.explain import explain

    click.echo(explain(read_or_compile(spec, composition).plan), nl=False)
