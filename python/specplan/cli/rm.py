"""`mlx rm`: take runs away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_json, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeVar

    from specplan.results.removal import Candidate

    F = TypeVar("F", bound="Callable[..., Any]")


def removal_options(function: F) -> F:
    """--perform and --json of commands that remove."""
    perform = click.option(
        "--perform", is_flag=True, help="Do it. Without, what would be done is printed."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    return perform(as_json(function))


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete_runs)
@root_option
@removal_options
def command(runs: tuple[str, ...], root: Path | None, perform: bool, as_json: bool) -> None:
    """Say what removing RUNS would free, or remove them.

    RUNS are run folders, EXPERIMENT/RUN, run ids, experiments (all of their runs) or patterns with `*`. A run that goes
    on stays, and so does what links point to. Nothing outside of the root is touched.

    \b
    Example:
      mlx rm digits/20260101-120000
      mlx rm "digits/2025*" --perform
    """
    from specplan.results.catalogue import find_folders
    from specplan.results.removal import candidate, reason_to_stay
    from specplan.store.root import runs_root

    place = runs_root(root)
    found, kept = [], {}
    for folder in find_folders(runs, place):
        if reason := reason_to_stay(folder, place):
            kept[folder.path] = reason
        else:
            found.append(candidate(folder.path, "run", "run"))
    kept |= carry_out(found, place, perform=perform)
    write_removal(found, kept, perform=perform, as_json=as_json)
    if kept:
        raise click.exceptions.Exit(1)


def carry_out(found: Sequence[Candidate], root: Path, *, perform: bool) -> dict[Path, str]:
    """Remove what was found, if it is to be; returns what had to stay, and why."""
    from specplan.errors import RunError
    from specplan.results.removal import remove

    kept: dict[Path, str] = {}
    for item in found if perform else ():
        try:
            remove(item, root)
        except (RunError, OSError) as error:
            kept[item.path] = str(error)
    return kept


def write_removal(
    found: Sequence[Candidate], kept: Mapping[Path, str], *, perform: bool, as_json: bool
) -> None:
    """Say what is free now, or would be; what had to stay, and why, on stderr."""
    from specplan.base.amounts import size

    done = [item for item in found if item.path not in kept]
    total = sum(item.bytes for item in done)
    for reason in kept.values():
        click.echo(f"kept: {reason}", err=True)
    if as_json:
        rows = [
            {"path": str(item.path), "kind": item.kind, "what": item.what, "bytes": item.bytes}
            for item in done
        ]
        stayed = [{"path": str(path), "reason": reason} for path, reason in kept.items()]
        write_json({"performed": perform, "bytes": total, "removed": rows, "kept": stayed})
        return
    write_table(
        ("bytes", "what", "path"), [[str(item.bytes), item.what, str(item.path)] for item in done]
    )
    number = f"{len(done)} {'thing' if len(done) == 1 else 'things'}"
    if perform:
        click.echo(f"removed {number}: {size(total)} are free")
    elif done:
        click.echo(f"{number}: {size(total)} would be free")
        click.echo("nothing was removed; --perform does it", err=True)
    else:
        click.echo("there is nothing to remove", err=True)
