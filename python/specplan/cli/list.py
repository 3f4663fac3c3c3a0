"""`mlx list`: the runs below a root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.filters import filter_options
from specplan.cli.tables import write_json, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from specplan.cli.filters import Filter
    from specplan.results.index import Listed

HEADER = ("experiment", "run", "version", "status", "host", "started", "plan")
WHOLE = ("params", "metrics", "tags")
"""Columns with all that a run has of a kind."""


class Columns(click.ParamType["tuple[str, ...]"]):
    """Names of facts, params, metrics and tags, divided by commas."""

    name = "columns"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        from specplan.results.conditions import check_name

        names = tuple(name.strip() for name in value.split(","))
        for name in names:
            try:
                if name not in WHOLE:
                    check_name(name.removeprefix("-"))
            except ValueError as error:
                return self.fail(str(error), param, ctx)
        return names


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_runs)
@root_option
@filter_options
@click.option(
    "--columns",
    type=Columns(),
    metavar="NAME,...",
    help="What to show of each run, such as `run,status,params.lr,metrics.loss,tags`.",
)
@click.option(
    "--sort", type=Columns(), metavar="NAME,...", help="By what; `-started` is the newest first."
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Only the first N.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(
    names: tuple[str, ...],
    root: Path | None,
    chosen: Filter,
    columns: tuple[str, ...] | None,
    sort: tuple[str, ...] | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the runs below a root, oldest first.

    NAME is an experiment, the beginning of several (`alice/project`), a run, or a pattern such as `digits/2026*`.
    A run that goes on is shown as it stands now.

    \b
    Example:
      mlx list
      mlx list digits --status failed --since 7d --sort -started --limit 10
      mlx list --where "params.lr < 0.01 and metrics.loss < 0.5" --columns run,params.lr,metrics.loss
    """
    from specplan.results.catalogue import meant
    from specplan.results.index import Index
    from specplan.store.root import runs_root

    place = runs_root(root)
    index = Index(place)
    known = list(index.runs(meant(names, place)))
    runs = [run for run in known if chosen.admits(run)]
    for name in reversed(sort or ("started",)):
        runs = _sorted(runs, name)
    runs = runs[:limit]
    rows = [_row(run, columns or (*HEADER, *(("folder",) if as_json else ()))) for run in runs]
    index.save()
    for fault in index.faults:
        # One damaged run must not hide the others.
        click.echo(f"warning: {fault}", err=True)
    if as_json:
        write_json(rows)
    elif rows:
        _write(rows)
    else:
        click.echo(_nothing(names, place, known, chosen), err=True)


def _row(run: Listed, columns: Sequence[str]) -> dict[str, Any]:
    from specplan.results.conditions import ABSENT

    found = {name: getattr(run, name) if name in WHOLE else run.value(name) for name in columns}
    return {name: None if value is ABSENT else value for name, value in found.items()}


def _sorted(runs: list[Listed], name: str) -> list[Listed]:
    """Runs that have the value in its order, numbers before texts; then the others."""
    from specplan.results.conditions import ABSENT

    key = name.removeprefix("-")

    def place(value: Any) -> tuple[int, Any]:
        if isinstance(value, bool | int | float):
            return (0, value) if value == value else (1, 0)
        return (2, str(value))

    values = [(run, run.value(key)) for run in runs]
    there = [(place(value), run) for run, value in values if value is not ABSENT]
    there.sort(key=lambda pair: pair[0], reverse=name.startswith("-"))
    return [*(run for _, run in there), *(run for run, value in values if value is ABSENT)]


def _write(rows: Sequence[dict[str, Any]]) -> None:
    header = tuple(rows[0])
    write_table(header, [[_cell(name, value) for name, value in row.items()] for row in rows])


def _cell(name: str, value: Any) -> str:
    from specplan.results.table import cell_text

    if name == "plan":
        return str(value)[:15]
    if isinstance(value, dict):
        return " ".join(
            key if item is None else f"{key}={cell_text(item)}" for key, item in value.items()
        )
    return cell_text(value)


def _nothing(names: Sequence[str], root: Path, known: Sequence[Listed], chosen: Filter) -> str:
    """Why there is nothing to list."""
    from specplan.results.locate import no_runs, not_found
    from specplan.spec.wording import quoted

    if not known:
        lines = [not_found(name, root) for name in names]
        return "\n".join(lines) or no_runs(root)
    of = f" of {quoted(names)}" if names else ""
    return f"no run{of} below `{root}` passes the filter{_lacking(known, chosen)}"


def _lacking(known: Sequence[Listed], chosen: Filter) -> str:
    """What no run has that a filter asks for: perhaps its name is wrong."""
    from specplan.results.conditions import ABSENT
    from specplan.spec.suggest import closest
    from specplan.spec.wording import quoted

    asked = () if chosen.where is None else chosen.where.names
    nowhere = [name for name in asked if all(run.value(name) is ABSENT for run in known)]
    if not known or not nowhere:
        return ""
    there = {
        f"{kind}.{name}"
        for run in known
        for kind in ("params", "metrics", "tags")
        for full in getattr(run, kind)
        for name in (full, full.rpartition("/")[2].rpartition(".")[2])
    }
    hints = [
        f"\nhint: did you mean `{near}`?" for each in nowhere if (near := closest(each, there))
    ]
    return f"; none has {quoted(nowhere)}{''.join(hints)}"
