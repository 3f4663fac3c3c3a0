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

    root = _root(workdir or context.obj)
    found = standings(root)
    if as_json:
        write_json(msgspec.to_builtins(found))
        return
    if not found:
        click.echo(f"no experiments below {root}", err=True)
    for each in found:
        click.echo(f"{each.experiment} [{each.host}] ({each.done}/{each.total} jobs)")


@command.command()
@workdir_option
@click.option("--console", is_flag=True, help="A terminal UI: sort with `s`, quit with `q`.")
@click.option("--once", is_flag=True, help="Print how they stand, and end.")
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, metavar="SECONDS"
)
@click.pass_context
def monitor(
    context: click.Context, workdir: Path | None, console: bool, once: bool, every: float
) -> None:
    """Watch the newest run of every experiment: status, host, progress, time left, last metrics with their course.

    Without --console, and where the output is no terminal, a line is printed whenever something
    changes. Ctrl-C ends it.

    \b
    Example:
      mlx experiments --workdir work monitor --console
      mlx experiments monitor --once
    """
    root = _root(workdir or context.obj)
    if console and not once and sys.stdout.isatty():
        _show_console(root, every)
        return
    _print_changes(root, once=once, every=every)


def _show_console(root: Path, every: float) -> None:
    try:
        from specplan.cli.console import Console
    except ModuleNotFoundError as error:
        if error.name != "textual":
            raise
        raise click.ClickException(
            "--console needs textual\nhint: pip install 'specplan[terminal]', or leave --console out"
        ) from error
    Console(root, every=every).run()


def _print_changes(root: Path, *, once: bool, every: float) -> None:
    from specplan.results.standing import Watch

    watch = Watch(root)
    before: dict[str, str] = {}
    while True:
        for each in watch.look():
            line = _line(each)
            if before.get(each.experiment) != line:
                # The time that is left is another one each time; it alone is no news.
                click.echo(line + _left(each))
                before[each.experiment] = line
        if once:
            return
        sys.stdout.flush()
        time.sleep(every)


def _line(each: Standing) -> str:
    last = {name: values[-1] for name, values in each.metrics.items()}
    metrics = " ".join(f"{name}={value:.6g}" for name, value in [*last.items()][:SHOWN_METRICS])
    head = f"{each.experiment}/{each.run_id} [{each.host}] {each.status} {each.done}/{each.total}"
    levels = " > ".join(str(level).strip() for level in each.progress)
    return " ".join(filter(None, (head, levels, metrics)))


def _left(each: Standing) -> str:
    from specplan.results.standing import duration

    seconds = each.remaining_seconds
    return "" if seconds is None else f" {duration(seconds)} left"


def _root(workdir: Path | None) -> Path:
    from specplan.store.root import runs_root

    return runs_root(workdir)
