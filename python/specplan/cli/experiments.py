"""`mlx experiments`: the experiments of a folder of work, as they stand and as they go on."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from specplan.cli.tables import write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from specplan.results.standing import Standing

SHOWN_METRICS = 3


def workdir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--workdir`, before or after the name of what to do."""
    return click.option(
        "--workdir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Folder of all runs. [default: $SPECPLAN_HOME, else ./runs]",
    )(command)


@click.group("experiments")
@workdir_option
@click.pass_context
def command(context: click.Context, workdir: Path | None) -> None:
    """List the experiments of a folder, or watch them.

    \b
    Example:
      mlx experiments --workdir work list
      mlx experiments --workdir work monitor --console
    """
    context.obj = workdir


@command.command("list")
@workdir_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_context
def list_(context: click.Context, workdir: Path | None, as_json: bool) -> None:
    """Print each experiment with the host of its newest run, and how many of its phases are over.

    \b
    Example:
      mlx experiments list
    """
    import msgspec

    from specplan.results.standing import standings

    found = standings(_root(workdir or context.obj))
    if as_json:
        write_json(msgspec.to_builtins(found))
        return
    for each in found:
        click.echo(f"{each.experiment} [{each.host}] ({each.done}/{each.total} jobs)")


@command.command()
@workdir_option
@click.option("--console", is_flag=True, help="In the terminal; there is no other way yet.")
@click.option("--once", is_flag=True, help="Print how they stand, and end.")
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, metavar="SECONDS"
)
@click.pass_context
def monitor(
    context: click.Context, workdir: Path | None, console: bool, once: bool, every: float
) -> None:
    """Watch the newest run of every experiment: status, host, progress, last metrics with their course.

    Where the output is no terminal, a line is printed whenever something changes. Ctrl-C ends it.

    \b
    Example:
      mlx experiments --workdir work monitor --console
      mlx experiments monitor --once
    """
    from specplan.results.standing import standings

    del console
    root = _root(workdir or context.obj)
    if once or not sys.stdout.isatty():
        _print_changes(root, once=once, every=every)
        return
    from rich.live import Live

    try:
        with Live(_table(standings(root, with_metrics=True)), screen=True) as live:
            while True:
                time.sleep(every)
                live.update(_table(standings(root, with_metrics=True)))
    except KeyboardInterrupt:
        return


def _print_changes(root: Path, *, once: bool, every: float) -> None:
    from specplan.results.standing import standings

    before: dict[str, str] = {}
    while True:
        for each in standings(root, with_metrics=True):
            line = _line(each)
            if before.get(each.experiment) != line:
                click.echo(line)
                before[each.experiment] = line
        if once:
            return
        sys.stdout.flush()
        time.sleep(every)


def _line(each: Standing) -> str:
    last = {name: values[-1] for name, values in each.metrics.items()}
    metrics = " ".join(f"{name}={value:.6g}" for name, value in [*last.items()][:SHOWN_METRICS])
    head = f"{each.experiment}/{each.run_id} [{each.host}] {each.status} {each.done}/{each.total}"
    return f"{head} {metrics}".rstrip()


def _table(found: list[Standing]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from specplan.results.standing import sparkline

    table = Table("experiment", "run", "host", "status", "phases", "metrics", expand=True)
    for each in found:
        metrics = "\n".join(
            f"{name} {values[-1]:.6g} {sparkline(values)}"
            for name, values in [*each.metrics.items()][:SHOWN_METRICS]
        )
        cells = (each.experiment, each.run_id, each.host, str(each.status))
        table.add_row(*map(Text, cells), f"{each.done}/{each.total}", Text(metrics))
    return table


def _root(workdir: Path | None) -> Path:
    from specplan.store.root import runs_root

    return runs_root(workdir)
