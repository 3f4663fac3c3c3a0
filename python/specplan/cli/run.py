"""`mlx run`: a spec or a plan, with progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from specplan.cli.arguments import (
    composition_options,
    root_option,
    spec_argument,
    strict_option,
    trust_option,
)
from specplan.cli.diagnose import read_or_compile, warn_of_space, write_diagnostics
from specplan.cli.display import choose_display
from specplan.cli.show import as_object, write_end
from specplan.cli.tables import write_json
from specplan.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.run.context import Context
    from specplan.run.hooks import Subjects
    from specplan.run.outcome import Outcome
    from specplan.spec.composition import Composition


@click.command()
@spec_argument
@composition_options
@root_option
@strict_option
@trust_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(
    spec: Path,
    composition: Composition,
    root: Path | None,
    strict: bool,
    trust: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run SPEC, a spec or a plan, and print its last metrics and where the results are.

    Ctrl-C ends a run cleanly: what was recorded until then is kept. Code of your own that SPEC names runs
    only where you trust it, see `mlx trust`.

    \b
    Example:
      mlx run spec.json
      mlx run spec.json -c plan.train.epochs=5 -c graph.optimizer.lr=1e-2
      mlx run spec.plan.json --root results --quiet
    """
    from specplan.plan.passes.context import CodeUse

    code = CodeUse(imports="needed", trust=trust)
    compiled = read_or_compile(spec, composition, strict=strict, code=code)
    warn_of_space(compiled, spec, root)

    from specplan.run.run import run_plan
    from specplan.store.root import runs_root

    place = runs_root(root, folder=compiled.folder, results=compiled.plan.results.dir)
    display = choose_display(quiet=quiet)
    try:
        outcome = run_plan(
            compiled, root=place, display=display, trust=trust, subjects=with_experiment()
        )
    except SpecError as error:  # a configuration is not what the function of a call wants
        write_diagnostics(error.diagnostics, spec, "human")
        raise click.exceptions.Exit(1) from error
    write_outcome(outcome, as_json=as_json)


def with_experiment(jobs: int = 1) -> Subjects:
    """Lets functions of call phases have an experiment, so many of whose jobs run at a time."""
    from specplan.run.hooks import Subjects

    def called(context: Context) -> Any:
        from specplan.track.called import called_experiment

        return called_experiment(context, max_jobs=jobs)

    return Subjects(called=called)


def write_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """The last metrics and where the results are, to stdout; what was lost, to stderr."""
    from specplan.results.open import open_run
    from specplan.results.summary import losses

    run = open_run(outcome.folder.path)
    if as_json:
        write_json(as_object(run))
    else:
        write_end(run)
    if (lost := losses(outcome.run_file.statistics)) is not None:
        click.echo(f"warning: the run is complete, but {lost} could not be written", err=True)
