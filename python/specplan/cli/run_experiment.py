"""`mlx run-experiment`: a function of the user's with a YAML file that configures it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from specplan.cli.arguments import ExistingFile, composition_options, jobs_option
from specplan.cli.diagnose import write_diagnostics
from specplan.errors import SpecError
from specplan.spec.configuration import RunMode

if TYPE_CHECKING:
    from specplan.plan.model import Compiled
    from specplan.run.context import Context
    from specplan.spec.composition import Composition
    from specplan.spec.diagnostics import Diagnostic
    from specplan.spec.document import Document


class ExperimentFile(ExistingFile):
    """The path of a YAML file, of which the suffix may be left out."""

    def convert(
        self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        named = [Path(f"{value}{suffix}") for suffix in ("", ".yaml", ".yml")]
        found = next((path for path in named if path.is_file()), named[0])
        return super().convert(found, param, ctx)


@click.command("run-experiment")
@click.argument("yaml", type=ExperimentFile(), metavar="YAML")
@click.argument("args", nargs=-1)
@click.option(
    "--run-mode",
    type=click.Choice([mode.name for mode in RunMode], case_sensitive=False),
    default=RunMode.NORMAL.name,
    show_default=True,
    help="DRY_RUN checks everything and writes nothing, GENERATE_ONLY writes the plan, PREPARE makes the folder of the run.",
)
@composition_options
@click.option(
    "--show", is_flag=True, help="Print the merged configuration as JSON, and run nothing."
)
@click.option(
    "--root",
    "--workdir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of all runs. [default: $SPECPLAN_HOME, else ./runs]",
)
@jobs_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(  # noqa: PLR0913 -- what a user can say of a call
    yaml: Path,
    args: tuple[str, ...],
    run_mode: str,
    composition: Composition,
    show: bool,
    root: Path | None,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Call `run(helper, cfg)` of the Python file or module that YAML names, with what YAML says as `cfg`.

    This runs code of yours, as `python FILE` does. ARGS are for that code; write `--` before them.

    \b
    Example:
      mlx run-experiment full.yaml
      mlx run-experiment --run-mode dry_run -c learning_rate=1e-5 full.yaml
      mlx run-experiment --show --pre-yaml defaults.yaml full.yaml
    """
    try:
        document = _read(yaml, composition, quiet=quiet)
        if show:
            click.echo(json.dumps(document.value, ensure_ascii=False))
            return
        compiled = _compiled(document, yaml, args)
        match RunMode[run_mode.upper()]:
            case RunMode.NORMAL:
                _run(compiled, root, jobs=jobs, quiet=quiet, as_json=as_json)
            case RunMode.DRY_RUN:
                _check(compiled, root)
            case RunMode.GENERATE_ONLY:
                _check(compiled, root)
                _generate(compiled, yaml)
            case RunMode.PREPARE:
                _prepare(compiled, root)
    except SpecError as error:
        write_diagnostics(error.diagnostics, yaml, "human")
        raise click.exceptions.Exit(1) from error


def _read(yaml: Path, composition: Composition, *, quiet: bool) -> Document:
    from specplan.spec.load import load_configuration

    document = load_configuration(yaml, composition)
    write_diagnostics(document.warnings, yaml, "human")
    if "id" in document.value:
        return document
    if not quiet:
        note = f"note: no `id` is given; it is `{document.name}`, the name of the file"
        click.echo(note, err=True)
    merged = {key: item for key, item in document.value.items() if key not in ("imports", "parent")}
    return msgspec.structs.replace(document, value={"id": document.name, **merged})


def _compiled(document: Document, yaml: Path, words: tuple[str, ...]) -> Compiled:
    from specplan.plan.compile import compile_document
    from specplan.spec.experiment_file import as_spec

    try:
        spec = as_spec(document, words=words)
    except SpecError as error:
        raise SpecError([*error.diagnostics, *_other_faults(document, words, error)]) from error
    compiled = compile_document(spec)
    write_diagnostics(compiled.warnings, yaml, "human")
    return compiled


def _other_faults(document: Document, words: tuple[str, ...], known: SpecError) -> list[Diagnostic]:
    """What the code has to say of a file in which nothing but a number is known to be wrong."""
    from specplan.plan.compile import compile_document
    from specplan.run.call import prepared
    from specplan.spec.experiment_file import as_spec, without_wrong_numbers

    rest = without_wrong_numbers(document, known.diagnostics)
    if rest is None:
        return []
    told = {str(fault.origin) for fault in known.diagnostics}
    try:
        with prepared(compile_document(as_spec(rest, words=words)), trust=True):
            return []
    except SpecError as error:
        return [fault for fault in error.diagnostics if str(fault.origin) not in told]


def _place(root: Path | None) -> Path:
    from specplan.store.root import runs_root

    return runs_root(root)


def _run(compiled: Compiled, root: Path | None, *, jobs: int, quiet: bool, as_json: bool) -> None:
    from specplan.cli.display import choose_display
    from specplan.cli.run import with_experiment, write_outcome
    from specplan.run.hooks import Hooks
    from specplan.run.run import run_plan
    from specplan.track.informations import write_informations

    place, journals = _place(root), []

    def begin(context: Context) -> None:
        journals.append(context.journal)
        write_informations(place, context.journal.run_file)

    display = choose_display(quiet=quiet)
    hooks = Hooks(run_started=(begin,))
    try:
        outcome = run_plan(
            compiled,
            root=place,
            display=display,
            trust=True,
            hooks=hooks,
            subjects=with_experiment(jobs),
        )
    finally:
        for journal in journals:
            write_informations(place, journal.run_file)
    write_outcome(outcome, as_json=as_json)


def _check(compiled: Compiled, root: Path | None) -> None:
    from specplan.plan.explain import explain
    from specplan.run.run import check_plan

    check_plan(compiled, root=_place(root), trust=True)
    click.echo(explain(compiled.plan), nl=False)


def _generate(compiled: Compiled, yaml: Path) -> None:
    from specplan.plan.canonical import write_map, write_plan

    target = yaml.with_suffix(".plan.json")
    write_plan(compiled, target)
    write_map(compiled, target)
    click.echo(f"wrote {target} ({compiled.plan.id})", err=True)


def _prepare(compiled: Compiled, root: Path | None) -> None:
    from specplan.run.run import prepare_run

    folder = prepare_run(compiled, root=_place(root), trust=True)
    click.echo(str(folder.path))
