"""`mlx sync`: what another tool does not have of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from specplan.cli.arguments import complete_runs, root_option

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.exchange.outcome import Outcome
    from specplan.exchange.targets import Target


class TargetType(click.ParamType[Any]):
    """A place that runs are sent to."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from specplan.exchange.targets import Target

        try:
            return Target.of(value)
        except ValueError as error:
            return self.fail(str(error), param, ctx)


def write_outcome(outcome: Outcome, *, quiet: bool = False) -> None:
    """Say what was sent, and to stderr what could not be."""
    if not quiet:
        click.echo(outcome)
    for reason in outcome.refused:
        click.echo(f"not sent of {outcome.run}: {reason}", err=True)


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete_runs)
@root_option
@click.option(
    "--to",
    "target",
    type=TargetType(),
    required=True,
    metavar="PLACE",
    help="mlflow:URI of a server, of a database (sqlite:///FILE) or of a folder; tensorboard:DIR; or the URL of `mlx serve`.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--json", "as_json", is_flag=True, help="Print an array with an object for each run.")
def command(
    runs: tuple[str, ...], root: Path | None, target: Target, *, dry_run: bool, as_json: bool
) -> None:
    """Send to PLACE what it does not have of RUNS: params, metrics, tags, artifacts and status.

    Sent twice, nothing is there twice; cut off, the next call goes on. A run that is still going is sent
    as far as it is. RUNS are run folders, EXPERIMENT/RUN, run ids, experiments (all of their runs) or
    patterns with `*`.

    \b
    Example:
      mlx sync digits --to mlflow:sqlite:///mlflow.db
      mlx sync "digits/*" --to tensorboard:events --dry-run
    """
    from specplan.cli.tables import write_json
    from specplan.results.catalogue import find_runs
    from specplan.store.root import runs_root

    outcomes = []
    for run in find_runs(runs, runs_root(root)):
        outcome = target.send(run, dry_run=dry_run)
        outcomes.append(outcome)
        write_outcome(outcome, quiet=as_json)
    if as_json:
        write_json(msgspec.to_builtins(outcomes))
