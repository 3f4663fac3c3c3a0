"""`mlx explain`: a plan, or the code of an error, as text that a person reads."""

from __future__ import annotations

import re
from pathlib import Path

import click

from specplan.cli.arguments import ExistingFile
from specplan.cli.diagnose import read_or_compile


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
def command(spec: Path) -> None:
    """Print what SPEC, a spec or a plan, would run: data, graph, shapes, phases. Writes nothing.

    With the CODE of an error, print what it means, with a wrong and a right example.

    \b
    Example:
      mlx explain spec.json
      mlx explain SP201
    """
    if not spec.exists():
        from specplan.spec.codes import explanation, look_up

        click.echo(explanation(look_up(spec.name)), nl=False)
        return
    from specplan.plan.explain import explain

    click.echo(explain(read_or_compile(spec).plan), nl=False)
