"""`mlx gc`: take away what nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.filters import filter_options
from specplan.cli.rm import carry_out, removal_options, write_removal

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.cli.filters import Filter
    from specplan.results.index import Listed
    from specplan.results.removal import Candidate


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_runs)
@root_option
@filter_options
@click.option(
    "--keep-last",
    type=click.IntRange(min=0),
    metavar="N",
    help="Of the runs that are so, the newest N of each experiment stay.",
)
@click.option("--checkpoints", is_flag=True, help="Also checkpoints of runs that are complete.")
@removal_options
def command(
    names: tuple[str, ...],
    root: Path | None,
    chosen: Filter,
    keep_last: int | None,
    checkpoints: bool,
    perform: bool,
    as_json: bool,
) -> None:
    """Say what is left over below a root, or remove it: what killed processes left in the making.

    With --status, --until, --keep-last and the like it is also the runs that are so, of the experiments NAME or of all.
    A run that goes on stays.

    \b
    Example:
      mlx gc
      mlx gc --status failed --older-than 30d --perform
      mlx gc digits --keep-last 5 --checkpoints
    """
    from specplan.results.catalogue import meant
    from specplan.results.index import Index
    from specplan.results.leftovers import leftovers, spent_checkpoints
    from specplan.results.removal import reason_to_stay
    from specplan.store.root import runs_root

    place = runs_root(root)
    index = Index(place)
    runs = list(index.runs(meant(names, place)))
    by_policy = chosen.asks or keep_last is not None
    unwanted = _unwanted(runs, chosen, keep_last or 0) if by_policy else []
    found = [_run(run) for run in unwanted if reason_to_stay(run.folder, place) is None]
    gone = {item.path for item in found}
    if checkpoints:
        found += [
            item for run in runs if run.folder.path not in gone for item in spent_checkpoints(run)
        ]
    found += [item for item in leftovers(place) if not gone & {item.path, *item.path.parents}]
    for fault in index.faults:
        click.echo(f"warning: {fault}", err=True)
    kept = carry_out(found, place, perform=perform)
    write_removal(found, kept, perform=perform, as_json=as_json)


def _unwanted(runs: list[Listed], chosen: Filter, keep_last: int) -> list[Listed]:
    """Those that are so, without the newest of each experiment."""
    by_experiment: dict[Path, list[Listed]] = {}
    for run in sorted(runs, key=lambda run: run.entry.created_at):
        if chosen.admits(run):
            by_experiment.setdefault(run.folder.path.parent, []).append(run)
    return [run for each in by_experiment.values() for run in each[: max(0, len(each) - keep_last)]]


def _run(run: Listed) -> Candidate:
    from specplan.results.removal import candidate

    return candidate(run.folder.path, "run", f"run, {run.status}")
