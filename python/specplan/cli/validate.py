"""`mlx validate`: whether a spec is right, as far as that is known without its data."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import (
    check_data_option,
    composition_options,
    error_format_option,
    spec_argument,
    strict_option,
)
from specplan.cli.diagnose import refuse_plan, write_diagnostics
from specplan.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Collection

    from specplan.spec.composition import Composition


@click.command()
@spec_argument
@composition_options
@check_data_option
@strict_option
@error_format_option
@click.option(
    "--watch", "watches", is_flag=True, help="Check again after each change, until Ctrl-C."
)
def command(
    spec: Path,
    composition: Composition,
    check_data: bool,
    strict: bool,
    error_format: str,
    watches: bool,
) -> None:
    """Check a spec as `mlx compile` does, but look at no rows, and write nothing.

    Its data need not be there: what only their headers tell is then left unchecked, and the last
    line says so. With --check-data they have to be, and every row is looked at.

    \b
    Example:
      mlx validate spec.json
      mlx validate spec.yaml --strict --format json
      mlx validate spec.yaml --watch
    """
    check = partial(
        _check, spec, composition, rows=check_data, strict=strict, error_format=error_format
    )
    if not watches:
        if not check():
            raise click.exceptions.Exit(1)
        return
    from specplan.cli.watch import watch

    def check_again() -> Collection[Path]:
        read = {spec, *composition.pre, *composition.post}
        check(read=read)
        return read

    watch(check_again)


def _check(
    spec: Path,
    composition: Composition,
    *,
    rows: bool,
    strict: bool,
    error_format: str,
    read: set[Path] | None = None,
) -> bool:
    """Whether a spec is right; says what is wrong, and adds the files of the spec to `read`."""
    from specplan.plan.analyse import analyse
    from specplan.spec.load import load

    refuse_plan(spec)
    try:
        document = load(spec, composition)
        if read is not None:
            read.update(source.file for source in document.sources if source.file is not None)
        check = partial(analyse, needs_data=rows, check_data=rows, strict=strict)
        analysis = check(document)
        sweep = analysis.context.spec.sweep
        if sweep is not None:
            from specplan.sweep.check import check_values

            check_values(spec, composition, sweep.vary, check)
    except SpecError as error:
        write_diagnostics(error.diagnostics, spec, error_format)
        if read is not None:
            read.update(Path(fault.origin.file) for fault in error.diagnostics if fault.origin.file)
        return False
    write_diagnostics(analysis.warnings, spec, error_format)
    unchecked = f"; columns and rows of {', '.join(analysis.unread)} were not checked: not found"
    click.echo(f"{spec}: no errors{unchecked if analysis.unread else ''}", err=True)
    return True
