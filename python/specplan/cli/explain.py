"""`mlx explain`: a plan as text that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import composition_options, spec_argument
from specplan.cli.diagnose import read_or_compile, refuse_plan, write_diagnostics
from specplan.cli.show import write_json
from specplan.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.composition import Composition


@click.command()
@spec_argument
@click.argument("address", metavar="[PATH]", required=False)
@composition_options
@click.option("--json", "as_json", is_flag=True, help="Print what PATH is as one JSON object.")
def command(spec: Path, address: str | None, composition: Composition, as_json: bool) -> None:
    """Print what SPEC, a spec or a plan, would run: data, graph, shapes, phases. Writes nothing.

    With PATH, print where that value of the spec comes from: the default, the files that gave it a
    value, in order, the parameter that it refers to, and overrides. Items of lists go by their
    label or by their index.

    \b
    Example:
      mlx explain spec.json
      mlx explain spec.yaml plan.train.sampler.batch_size
    """
    if address is not None:
        _explain_value(spec, address, composition, as_json=as_json)
        return
    if as_json:
        raise click.UsageError(
            "--json is for a PATH of the spec; `mlx compile` writes a plan as JSON"
        )
    from specplan.plan.explain import explain

    click.echo(explain(read_or_compile(spec, composition).plan), nl=False)


def _explain_value(spec: Path, address: str, composition: Composition, *, as_json: bool) -> None:
    from specplan.spec.load import load
    from specplan.spec.provenance import as_text, provenance

    refuse_plan(spec)
    try:
        document = load(spec, composition)
        if document.problems:
            raise SpecError(document.problems)
    except SpecError as error:
        write_diagnostics(error.diagnostics, spec, "human")
        raise click.exceptions.Exit(1) from error
    explained = provenance(document, address)
    if as_json:
        write_json(explained)
    else:
        click.echo(as_text(explained), nl=False)
