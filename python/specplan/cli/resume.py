"""`mlx resume`: going on with a run that was stopped or killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import complete_runs, jobs_option, root_option, trust_option
from specplan.cli.display import choose_display
from specplan.cli.run import with_experiment, write_outcome

if TYPE_CHECKING:
    from pathlib import Path


def _refuse_overrides(
    _context: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> None:
    if given:
        raise click.UsageError(
            f"a run goes on as it began, so `-c {given[0]}` has no place here\n"
            f"hint: `mlx run SPEC -c {given[0]}` begins another run"
        )


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@trust_option
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Go on though versions, threads, code of yours or values of the data are not what they were.",
)
@click.option(
    "-c",
    "--conf",
    "overrides",
    multiple=True,
    hidden=True,
    expose_value=False,
    callback=_refuse_overrides,
    help="Refused: a run goes on as it began.",
)
@jobs_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(
    run: str,
    root: Path | None,
    trust: bool,
    allow_changes: bool,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Go on with RUN, which was stopped or killed, and end as it would have ended without that.

    It goes on in its own folder, from its newest checkpoint, or from its beginning where it has none. A
    run that is complete is left as it is.

    \b
    Example:
      mlx resume digits
      mlx resume runs/digits/20260101-120000 --allow-changes
    """
    from specplan.results.locate import find_run
    from specplan.run.resume import resume_run
    from specplan.store.root import runs_root

    outcome = resume_run(
        find_run(run, runs_root(root)),
        display=choose_display(quiet=quiet),
        trust=trust,
        allow_changes=allow_changes,
        subjects=with_experiment(jobs),
    )
    if outcome is None:
        click.echo("the run is complete: there is nothing to resume", err=True)
        return
    write_outcome(outcome, as_json=as_json)
