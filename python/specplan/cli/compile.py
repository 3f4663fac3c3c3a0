"""`mlx compile`: spec to plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import (
    check_data_option,
    code_options,
    composition_options,
    error_format_option,
    spec_argument,
    strict_option,
)
from specplan.cli.diagnose import compile_or_exit, refuse_plan, warn_of_space

if TYPE_CHECKING:
    from specplan.plan.passes.context import CodeUse
    from specplan.spec.composition import Composition


@click.command()
@spec_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the plan goes. [default: beside the spec, as NAME.plan.json]",
)
@check_data_option
@click.option("--explain", is_flag=True, help="Print the plan as text, and its bill, as well.")
@composition_options
@code_options
@strict_option
@error_format_option
def command(
    spec: Path,
    output: Path | None,
    check_data: bool,
    explain: bool,
    composition: Composition,
    code: CodeUse,
    strict: bool,
    error_format: str,
) -> None:
    """Turn a spec into a plan: everything resolved, nothing run.

    Code of your own is read and not imported, unless you say --check-imports.

    Every error of the spec is listed at once, each with its file, line and column.

    \b
    Example:
      mlx compile spec.json --explain
      mlx compile spec.yaml -o plans/first.plan.json
      mlx compile spec.yaml -c plan.train.epochs=5
    """
    if explain and error_format != "human":
        raise click.UsageError(
            f"--explain and --format {error_format} both write to stdout; choose one"
        )
    refuse_plan(spec)
    compiled = compile_or_exit(
        spec, error_format, composition, check_data=check_data, strict=strict, code=code
    )

    from specplan.plan.canonical import write_map, write_plan

    target = spec.with_suffix(".plan.json") if output is None else output
    write_plan(compiled, target)
    write_map(compiled, target)
    warn_of_space(compiled, spec, None)
    if explain:
        from specplan.plan.cost import cost
        from specplan.plan.cost_text import cost_text
        from specplan.plan.explain import explain as explain_plan

        click.echo(explain_plan(compiled.plan))
        click.echo(cost_text(cost(compiled.plan)), nl=False)
    click.echo(f"wrote {target} ({compiled.plan.id})", err=True)
