"""How a sweep stands, as `mlx sweep` and `mlx show` print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from specplan.cli.sweep_display import cell
from specplan.cli.tables import write_json, write_table
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from specplan.sweep.folder import SweepFolder
    from specplan.sweep.status import PointStatus


def write_status(folder: SweepFolder, *, as_json: bool) -> list[Status]:
    """The points, how their runs stand, and the best; returns how they stand."""
    from specplan.sweep.status import best_of, point_statuses

    found = point_statuses(folder)
    best = best_of(found, folder.file)
    if as_json:
        head = msgspec.to_builtins(folder.file)
        del head["format"], head["key"], head["points"]
        points = [msgspec.to_builtins(each) for each in found]
        first = None if best is None else best.runs[0].index
        value = None if best is None else best.value
        outcome = {"points": points, "best": first, "best_value": value}
        write_json({**head, "folder": str(folder.path), **outcome})
    elif found:
        metric = folder.file.metric
        columns = ["run", *found[0].values, "status", *([metric] if metric else [])]
        write_table(columns, [_cells(each, with_value=metric is not None) for each in found])
        for each in found:
            if each.status is Status.FAILED:
                click.echo(f"{each.run}: {each.status}: {each.message}", err=True)
        if best is not None:
            runs = ", ".join(each.run for each in best.runs)
            of = f", the mean of {len(best.runs)} seeds" if len(best.runs) > 1 else ""
            click.echo(f"\nbest: {runs}, {metric} {best.value:.6g}{of}")
        click.echo(f"\n{folder.path}/metrics/*.parquet has the metrics of all runs", err=True)
    return [each.status for each in found]


def _cells(point: PointStatus, *, with_value: bool) -> list[str]:
    values = [cell(value) for value in point.values.values()]
    measured = "" if point.value is None else f"{point.value:.6g}"
    return [point.run, *values, point.status.value, *([measured] if with_value else [])]
