"""How the runs of a sweep stand."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.results.status import read_run_file
from specplan.spec.wording import as_json
from specplan.store.run_file import Status
from specplan.sweep.folder import SEED
from specplan.sweep.measured import final_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.store.sweep_file import SweepFile, SweepPoint
    from specplan.sweep.folder import SweepFolder


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


def _status(folder: SweepFolder, point: SweepPoint) -> PointStatus:
    run, status, metric = folder.run_of(point), folder.status_of(point), folder.file.metric
    error = read_run_file(run).error if run.run_file.is_file() else None
    return PointStatus(
        index=point.index,
        run=point.run,
        folder=str(run.path),
        plan_id=point.plan_id,
        values=point.values,
        status=status,
        value=final_value(run, metric) if metric is not None and status.is_concluded else None,
        message=None if error is None else error.message,
    )


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The best of what was measured.

    Attributes:
        runs: one, or those of all seeds of a point.
        value: of the metric; the mean over the seeds.
    """

    runs: tuple[PointStatus, ...]
    value: float


def best_of(points: Sequence[PointStatus], file: SweepFile) -> Best | None:
    """The best of those of which every run is complete and has a value; None where there is none."""
    alike: dict[object, dict[str, PointStatus]] = {}
    for each in points:
        own = {name: value for name, value in each.values.items() if name != SEED}
        # A method may choose the same values twice: then they have the same runs.
        key = each.index if file.seeds is None else as_json(own)
        alike.setdefault(key, {}).setdefault(each.run, each)
    found = []
    for runs in ([*each.values()] for each in alike.values()):
        values = [each.value for each in runs if each.status is Status.COMPLETED]
        measured = [value for value in values if value is not None and not math.isnan(value)]
        if len(measured) == len(runs) == (file.seeds or 1):
            found.append(Best(runs=tuple(runs), value=statistics.fmean(measured)))
    sign = 1 if file.mode == "min" else -1
    return min(found, key=lambda each: sign * each.value, default=None)
