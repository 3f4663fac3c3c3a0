"""Metrics over the folds of a cross-validation, or over seeds."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from specplan.plan.model import Pass, Phase


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """The last values of one metric in the passes of a group.

    Attributes:
        phase: path of the phase without the labels of the passes.
        over: the passes that the plan has: `5 folds`, `3 seeds x 5 folds`.
        planned: how many these are.
        values: one for each pass that has measured the metric, in order.
        passes: which these are: `fold_0`, `seed_1.fold_0`.
    """

    phase: str
    split: str | None
    node: str | None
    name: str
    over: str
    planned: int
    values: tuple[float, ...]
    passes: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """The mean of the values; NaN where one is."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """The standard deviation of the values as a sample, that of n - 1; NaN for one value."""
        if len(self.values) < 2 or not all(map(math.isfinite, self.values)):
            return math.nan
        return statistics.stdev(self.values)

    def __str__(self) -> str:
        some = "" if len(self.values) == self.planned else f"{len(self.values)} of "
        mean, deviation = _rounded(self.mean, 4), _rounded(self.deviation, 2)
        return f"{self.phase}: {self.name} {mean} ± {deviation} over {some}{self.over}"


def _rounded(value: float, digits: int) -> str:
    """A number of so many digits, without an exponent as long as zeros do: 3654 ± 110."""
    return f"{float(f'{value:.{digits}g}'):g}"


def spreads(phases: Iterable[Phase], last: Iterable[Mapping[str, Any]]) -> list[Spread]:
    """What `last`, one row for each series, says over folds and seeds; nothing of other phases.

    Of a group that is repeated inside a pass the last repetition counts.
    """
    by_path = {phase.path: phase for phase in phases}
    series: dict[tuple[str, str | None, str | None, str], dict[tuple[Pass, ...], float]] = {}
    for row in last:
        phase = by_path.get(row["phase"])  # what is sampled of the system is of none
        if phase is not None and (passes := independent(phase)):
            key = (
                phase.path_without_passes,
                row["split"],
                row["node"],
                row["name"],
            )
            series.setdefault(key, {})[passes] = row["value"]
    found = []
    for (path, split, node, name), values in series.items():
        passes = next(iter(values))
        found.append(
            Spread(
                phase=path,
                split=split,
                node=node,
                name=name,
                over=" x ".join(f"{each.of} {each.kind}s" for each in passes),
                planned=math.prod(each.of for each in passes),
                values=tuple(values.values()),
                passes=tuple(".".join(f"{p.kind}_{p.index}" for p in key) for key in values),
            )
        )
    return found


def independent(phase: Phase) -> tuple[Pass, ...]:
    """The passes around a phase that do not go on from one another: folds and seeds."""
    return tuple(each for each in phase.passes if each.kind != "pass")
