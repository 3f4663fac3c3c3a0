"""`mlx explain`: a plan, or the code of an error, as text that a person reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import ExistingFile, composition_options
from specplan.cli.diagnose import read_or_compile, refuse_plan, write_diagnostics
from specplan.cli.tables import write_json
from specplan.errors import SpecError

if TYPE_CHECKING:
    from specplan.spec.composition import Composition


class CodeOrFile(ExistingFile):
    """The code of an error, `SP201`, or the path of a file that is there."""

    name = "code or file"

    def convert(
        self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Codes stay words: there is no file of that name."""
        from specplan.spec.codes import codes
        from specplan.spec.wording import did_you_mean

        code = str(value).upper()
        if not re.fullmatch(r"SP\d+", code) or Path(value).exists():
            return super().convert(value, param, ctx)
        if code not in codes():
            near = did_you_mean(code, codes())
            hint = f"\nhint: {near}" if near else ""
            self.fail(f"there is no code `{code}`; docs/errors.md has all{hint}", param, ctx)
        return Path(code)


@click.command()
@click.argument("spec", type=CodeOrFile(), metavar="SPEC|CODE")
@click.argument("address", metavar="[PATH]", required=False)
@composition_options
@click.option("--json", "as_json", is_flag=True, help="Print what PATH is as one JSON object.")
def command(spec: Path, address: str | None, composition: Composition, as_json: bool) -> None:
    """Print what SPEC, a spec or a plan, would run: data, graph, shapes, phases. Writes nothing.

    With PATH, print where that value of the spec comes from: the default, the files that gave it a
    value, in order, the parameter that it refers to, and overrides. Items of lists go by their
    label or by their index.

    With the CODE of an error, print what it means, with a wrong and a right example.

    \b
    Example:
      mlx explain spec.json
      mlx explain spec.yaml plan.train.sampler.batch_size
      mlx explain SP201
    """
    if not spec.exists():
        from specplan.spec.codes import explanation, look_up

        click.echo(explanation(look_up(spec.name)), nl=False)
        return
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
        if document.problems or document.slips:
            raise SpecError([*document.slips, *document.problems])
    except SpecError as error:
        write_diagnostics(error.diagnostics, spec, "human")
        raise click.exceptions.Exit(1) from error
    explained = provenance(document, address)
    if as_json:
        write_json(explained)
    else:
        click.echo(as_text(explained), nl=False)
