"""What a sweep will take, known before anything is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.plan.cost import cost
from specplan.sweep.points import values_of
from specplan.sweep.search import ends, planned

if TYPE_CHECKING:
    from specplan.sweep.search import Planned
    from specplan.sweep.spec import Sweep


class PointCost(msgspec.Struct, frozen=True, kw_only=True):
    """What one run takes: as `mlx plan` says it, with `disk` for records and tables together."""

    plan_id: str
    values: dict[str, Any]
    steps: int
    flops: int
    memory: int
    disk: int


class SweepCost(msgspec.Struct, frozen=True, kw_only=True):
    """What all runs take together, and `peak_memory` of the one that takes most.

    Attributes:
        points: those that are known; where they are not, the ends of all that can be chosen, and each
            run is taken to be as large as the largest of them.
    """

    runs: int
    points: tuple[PointCost, ...]
    steps: int
    flops: int
    peak_memory: int
    disk: int


def bill_of(sweep: Sweep) -> SweepCost:
    """The bill of a sweep.

    Raises:
        SpecError: with everything that is wrong with any point.
    """
    known = planned(sweep)
    points = tuple(_cost(each) for each in (ends(sweep) if known is None else known))
    runs = sweep.most_runs if known is None else len(points)

    def total(name: str) -> int:
        amounts = [getattr(point, name) for point in points]
        return sum(amounts) if known is not None else runs * max(amounts)

    return SweepCost(
        runs=runs,
        points=points,
        steps=total("steps"),
        flops=total("flops"),
        peak_memory=max(point.memory for point in points),
        disk=total("disk"),
    )


def _cost(point: Planned) -> PointCost:
    values, compiled = point
    bill = cost(compiled.plan)
    return PointCost(
        plan_id=compiled.plan.id,
        values=values_of(values),
        steps=bill.steps,
        flops=bill.flops,
        memory=bill.peak_memory,
        disk=bill.records + bill.tables,
    )
