"""What a person, or an editor, is shown of the faults of a spec."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import click
import msgspec

from specplan.errors import RunError, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from specplan.plan.model import Compiled
    from specplan.plan.passes.context import CodeUse
    from specplan.spec.composition import Composition
    from specplan.spec.diagnostics import Diagnostic


def compile_or_exit(
    path: Path,
    error_format: str,
    composition: Composition,
    *,
    check_data: bool = False,
    strict: bool = False,
    code: CodeUse | None = None,
) -> Compiled:
    """Compile a spec; where it is wrong, write every diagnostic and end with exit code 1."""
    from specplan.plan.compile import compile_path
    from specplan.plan.passes.context import READ_ONLY

    try:
        compiled = compile_path(
            path, composition, check_data=check_data, strict=strict, code=code or READ_ONLY
        )
    except SpecError as error:
        write_diagnostics(error.diagnostics, path, error_format)
        raise click.exceptions.Exit(1) from error
    write_diagnostics(compiled.warnings, path, error_format)
    return compiled


def read_or_compile(
    path: Path,
    composition: Composition,
    *,
    strict: bool = False,
    check_data: bool = False,
    code: CodeUse | None = None,
    error_format: str = "human",
) -> Compiled:
    """The plan in a plan file, or what a spec compiles to."""
    if not _holds_plan(path):
        return compile_or_exit(
            path, error_format, composition, check_data=check_data, strict=strict, code=code
        )
    if composition:
        raise click.UsageError(
            f"`{path}` is a plan, which does not change; "
            "-c, --pre-yaml and --post-yaml are for specs"
        )
    from specplan.plan.canonical import read_plan

    return read_plan(path)


def refuse_plan(path: Path) -> None:
    """End with wrong usage where a spec is wanted and a plan is given."""
    if _holds_plan(path):
        raise click.UsageError(
            f"`{path}` is a plan already; `mlx explain` prints it and `mlx run` runs it"
        )


def warn_of_space(compiled: Compiled, path: Path, root: Path | None) -> None:
    """Write a warning where the disk on which a run would be has too little room for it.

    Raises:
        PlanError: the plan does not hold together.
    """
    from specplan.plan.cost import space_warning
    from specplan.plan.verify import verify
    from specplan.store.root import runs_root

    verify(compiled.plan)
    try:
        place = runs_root(root, folder=compiled.folder, results=compiled.plan.results.dir)
    except RunError:
        # `mlx run` refuses such a folder, and says how else to run it.
        return
    warning = space_warning(compiled, place)
    if warning is not None:
        write_diagnostics([warning], path, "human")


def _holds_plan(path: Path) -> bool:
    from specplan.plan.model import is_plan

    if path.suffix != ".json":
        return False
    try:
        return is_plan(msgspec.json.decode(path.read_bytes()))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # the compiler says what is wrong, and where


def write_diagnostics(diagnostics: Sequence[Diagnostic], path: Path, error_format: str) -> None:
    """As text with the lines that it is about on stderr, or for a program on stdout."""
    if error_format != "human":
        _write_for_programs(diagnostics, error_format)
        return
    if not diagnostics:
        return
    from specplan.spec.render import render

    counts = [
        f"{count} {severity}{'s' if count > 1 else ''}"
        for severity in ("error", "warning")
        if (count := sum(diagnostic.severity == severity for diagnostic in diagnostics))
    ]
    colour = _has_colours(sys.stderr)
    for diagnostic in diagnostics:
        click.echo(f"{render(diagnostic, colour=colour)}\n", err=True)
    click.echo(f"{' and '.join(counts)} in {path}", err=True)


def _write_for_programs(diagnostics: Sequence[Diagnostic], error_format: str) -> None:
    from specplan._native import __version__
    from specplan.cli.tables import write_json
    from specplan.spec.formats import as_github, as_json, as_sarif

    if error_format == "github":
        for line in as_github(diagnostics):
            click.echo(line)
        return
    written: object = as_json(diagnostics)
    if error_format == "sarif":
        written = as_sarif(diagnostics, version=__version__)
    write_json(written)


def _has_colours(stream: TextIO) -> bool:
    """Whether a person looks at `stream` who wants colours (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
