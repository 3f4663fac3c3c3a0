"""Which point of a sweep comes next, and which runs are not worth going on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from specplan.sweep.by_optuna import PACKAGES, declared, optuna_for, quietly
from specplan.sweep.points import Choice, at, drawn, grid, seeded
from specplan.sweep.spec import compile_points
from specplan.sweep.study import Studied

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.plan.model import Compiled
    from specplan.spec.axes import Axis
    from specplan.store.run_file import Status
    from specplan.store.sweep_file import SweepPoint
    from specplan.sweep.folder import SweepFolder
    from specplan.sweep.points import Values
    from specplan.sweep.spec import Sweep

    Planned = tuple[Values, Compiled]
_FINEST = 1 << 30
"""Steps in which a sequence that covers the space evenly cuts an axis of numbers."""


def planned(sweep: Sweep) -> list[Planned] | None:
    """Every point with its plan, where they are known before the first run; None where they are not.

    Raises:
        SpecError: with everything that is wrong with any of them.
        RunError: the method or the pruner needs Optuna, which is not installed.
    """
    if sweep.spec.pruner is not None:
        optuna_for(f"pruner `{sweep.spec.pruner['use']}`")
    match sweep.method:
        case "grid":
            points = grid(sweep.axes)
        case "random":
            points = drawn(sweep.axes, sweep.spec.runs, sweep.spec.seed)
        case "qmc":
            points = evenly(sweep)
        case _:
            optuna_for(f"method `{sweep.method}`", *PACKAGES.get(sweep.method, ()))
            ends(sweep)  # a fault in one of the values is told before the first run all the same
            return None
    return compile_points(sweep, seeded(points, sweep.seeds))


def ends(sweep: Sweep) -> list[Planned]:
    """Points in which every value occurs; of numbers that are drawn, the ends.

    Raises:
        SpecError: with everything that is wrong with any of them.
    """
    return compile_points(sweep, _each_value(sweep.axes))


def _each_value(axes: Sequence[Axis]) -> Iterator[Values]:
    choices = [_values(axis) for axis in axes]
    for index in range(max(map(len, choices))):
        yield tuple(each[min(index, len(each) - 1)] for each in choices)


def _values(axis: Axis) -> list[Choice]:
    if axis.is_drawn:
        return [at(axis, 0.0), at(axis, 1.0)]
    return [Choice(axis, value, index) for index, value in enumerate(axis.known_values())]


class Search(Protocol):
    """Asked for points, and told what became of them."""

    def next(self) -> Planned | None:
        """The next point; None where there are no more."""

    def begun(self, point: SweepPoint) -> None:
        """A point is written down; its run begins, goes on, or is over already."""

    def judged(self, point: SweepPoint, epoch: int, value: float) -> str | None:
        """Why a run is ended with this epoch; None where it goes on."""

    def over(self, point: SweepPoint, status: Status) -> None:
        """A run has ended."""


class Known:
    """The points are known, and every run goes on to its end."""

    def __init__(self, points: Sequence[Planned]) -> None:
        self._points = iter(points)

    def next(self) -> Planned | None:
        return next(self._points, None)

    def begun(self, point: SweepPoint) -> None: ...

    def judged(self, point: SweepPoint, epoch: int, value: float) -> str | None:
        del point, epoch, value
        return None

    def over(self, point: SweepPoint, status: Status) -> None: ...


def search_for(sweep: Sweep, points: Sequence[Planned] | None, folder: SweepFolder) -> Search:
    """What chooses the points of a sweep; `points` are those that are known."""
    if points is not None and sweep.spec.pruner is None:
        return Known(points)
    return Studied(sweep, points, folder)


def evenly(sweep: Sweep) -> Iterator[Values]:
    """The points of a sequence that covers the space evenly.

    Raises:
        RunError: Optuna is not installed.
    """
    optuna = optuna_for("method `qmc`")
    from optuna.samplers import QMCSampler

    options = msgspec.structs.asdict(declared("method", sweep.spec.method))
    # An index lies on an axis of its own; categories Optuna would only draw.
    distributions = {
        axis.address: optuna.distributions.IntDistribution(
            0, _FINEST if axis.is_drawn else axis.count - 1
        )
        for axis in sweep.axes
    }
    with quietly():
        sampler = QMCSampler(seed=sweep.spec.seed, warn_independent_sampling=False, **options)
        study = optuna.create_study(sampler=sampler)
        # The sampler learns from a first trial what the space is.
        study.add_trial(
            optuna.trial.create_trial(
                params=dict.fromkeys(distributions, 0), distributions=distributions, value=0.0
            )
        )
        asked = [study.ask(distributions).params for _ in range(sweep.spec.runs)]
    for params in asked:
        yield tuple(
            at(axis, params[axis.address] / _FINEST)
            if axis.is_drawn
            else _values(axis)[params[axis.address]]
            for axis in sweep.axes
        )
