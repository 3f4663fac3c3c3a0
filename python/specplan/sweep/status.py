"""How the runs of a sweep stand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.results.status import read_run_file
from specplan.store.run_file import CONCLUDED, Status
from specplan.sweep.measured import final_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.sweep.folder import Point, SweepFolder


class PointStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a sweep, how its run stands, and what that has measured.

    Attributes:
        status: `created` where the run has not begun.
        value: of the metric of the sweep.
        message: why a run failed, or was ended early.
    """

    index: int
    run: str
    folder: str
    plan_id: str
    values: dict[str, Any]
    status: Status
    value: float | None
    message: str | None


def point_statuses(folder: SweepFolder) -> list[PointStatus]:
    """Every point that was chosen so far, in that order."""
    return [_status(folder, point) for point in folder.file.points]


def _status(folder: SweepFolder, point: Point) -> PointStatus:
    run, status, metric = folder.run_of(point), folder.status_of(point), folder.file.metric
    error = read_run_file(run).error if run.run_file.is_file() else None
    return PointStatus(
        index=point.index,
        run=point.run,
        folder=str(run.path),
        plan_id=point.plan_id,
        values=point.values,
        status=status,
        value=final_value(run, metric) if metric is not None and status in CONCLUDED else None,
        message=None if error is None else error.message,
    )


def best_of(points: Sequence[PointStatus], mode: Literal["min", "max"]) -> PointStatus | None:
    """The complete run with the best value; None where no run has one."""
    measured = [
        (each.value if mode == "min" else -each.value, each.index, each)
        for each in points
        if each.status is Status.COMPLETED and each.value is not None and not math.isnan(each.value)
    ]
    return min(measured)[2] if measured else None
