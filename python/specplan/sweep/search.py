"""Which point of a sweep comes next, and which runs are not worth going on with."""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from blake3 import blake3

from specplan.components import COMPONENTS
from specplan.errors import RunError
from specplan.store.run_file import CONCLUDED, Status
from specplan.sweep.measured import epoch_values, final_value
from specplan.sweep.points import Choice, at, drawn, grid, restored, seeded
from specplan.sweep.spec import compile_point, compile_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.plan.model import Compiled
    from specplan.spec.axes import Axis
    from specplan.sweep.folder import Point, SweepFolder
    from specplan.sweep.points import Values
    from specplan.sweep.spec import Sweep

    Planned = tuple[Values, Compiled]
_BITS_OF_SEEDS = 32
_FINEST = 1 << 30
"""Steps in which a sequence that covers the space evenly cuts an axis of numbers."""


def planned(sweep: Sweep) -> list[Planned] | None:
    """Every point with its plan, where they are known before the first run; None where they are not.

    Raises:
        SpecError: with everything that is wrong with any of them.
        RunError: the method or the pruner needs Optuna, which is not installed.
    """
    if sweep.spec.pruner is not None:
        _optuna(f"pruner `{sweep.spec.pruner['use']}`")
    match sweep.method:
        case "grid":
            points = grid(sweep.axes)
        case "random":
            points = drawn(sweep.axes, sweep.spec.runs, sweep.spec.seed)
        case "qmc":
            points = evenly(sweep)
        case _:
            _optuna(f"method `{sweep.method}`")
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

    def begun(self, point: Point) -> None:
        """A point is written down; its run begins, goes on, or is over already."""

    def judged(self, point: Point, epoch: int, value: float) -> str | None:
        """Why a run is ended with this epoch; None where it goes on."""

    def over(self, point: Point, status: Status) -> None:
        """A run has ended."""


class Known:
    """The points are known, and every run goes on to its end."""

    def __init__(self, points: Sequence[Planned]) -> None:
        self._points = iter(points)

    def next(self) -> Planned | None:
        return next(self._points, None)

    def begun(self, point: Point) -> None: ...

    def judged(self, point: Point, epoch: int, value: float) -> str | None:
        del point, epoch, value
        return None

    def over(self, point: Point, status: Status) -> None: ...


def search_for(sweep: Sweep, points: Sequence[Planned] | None, folder: SweepFolder) -> Search:
    """What chooses the points of a sweep; `points` are those that are known."""
    if points is not None and sweep.spec.pruner is None:
        return Known(points)
    return Studied(sweep, points, folder)


class Studied:
    """A study of Optuna's goes by what runs measured. Its memory are the runs: it is made anew in each process.

    What is drawn for a trial depends on the seed of the sweep, the number of the trial and the trials before it, and so is
    the same again when a sweep goes on.
    """

    def __init__(self, sweep: Sweep, points: Sequence[Planned] | None, folder: SweepFolder) -> None:
        import optuna

        assert sweep.spec.metric is not None, "the compiler has checked it"
        self._sweep = sweep
        self._points = None if points is None else iter(points)
        self._folder = folder
        self._metric = sweep.spec.metric
        self._asked = 0
        self._pending: Any = None
        self._trials: dict[int, Any] = {}
        self._told: dict[int, set[int]] = {}
        self._axes = () if points is not None else sweep.axes
        with _quietly():
            self._study = optuna.create_study(
                # Hyperband deals trials out by the name.
                study_name=sweep.key,
                direction="minimize" if sweep.spec.mode == "min" else "maximize",
                sampler=optuna.samplers.RandomSampler(seed=0),
                pruner=_pruner(sweep.spec.pruner),
            )
        self._distributions = {axis.address: _distribution(axis) for axis in self._axes}

    def next(self) -> Planned | None:
        if self._points is not None:
            return next(self._points, None)
        if self._asked >= self._sweep.spec.runs:
            return None
        self._pending = self._ask()
        drawn_values = self._pending.params
        point = tuple(_choice(axis, drawn_values[axis.address]) for axis in self._axes)
        return point, compile_point(self._sweep, point)

    def begun(self, point: Point) -> None:
        if self._pending is None:
            if self._axes:
                self._study.enqueue_trial(
                    {
                        choice.axis.address: choice.value if choice.index is None else choice.index
                        for choice in restored(self._axes, point.values)
                    }
                )
            self._pending = self._ask()
        self._trials[point.index], self._pending = self._pending, None
        self._told[point.index] = set()

    def judged(self, point: Point, epoch: int, value: float) -> str | None:
        # Epochs before a checkpoint are not trained again, but others are compared with them.
        known = epoch_values(self._folder.run_of(point), self._metric)
        self._report(point, {each: known[each] for each in known if each < epoch} | {epoch: value})
        with _quietly():
            prune = self._trials[point.index].should_prune()
        use = (self._sweep.spec.pruner or {}).get("use")
        return f"{use}: {self._metric} {value:.4g} after epoch {epoch}" if prune else None

    def over(self, point: Point, status: Status) -> None:
        from optuna.trial import TrialState

        trial = self._trials[point.index]
        if status not in CONCLUDED:
            if status is Status.FAILED:
                self._study.tell(trial, state=TrialState.FAIL)
            return
        folder = self._folder.run_of(point)
        if self._sweep.spec.pruner is not None:
            self._report(point, epoch_values(folder, self._metric))
        value = final_value(folder, self._metric)
        with _quietly():
            if status is Status.STOPPED:
                self._study.tell(trial, state=TrialState.PRUNED)
            elif value is None or math.isnan(value):
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, value)

    def _ask(self) -> Any:
        from optuna.samplers import TPESampler

        if self._axes:
            seed = _seed(self._sweep.spec.seed, self._asked)
            options = msgspec.structs.asdict(_declared("method", self._sweep.spec.method))
            with _quietly():
                self._study.sampler = TPESampler(seed=seed, **options)
        self._asked += 1
        with _quietly():
            return self._study.ask(self._distributions)

    def _report(self, point: Point, values: dict[int, float]) -> None:
        trial, told = self._trials[point.index], self._told[point.index]
        for epoch in sorted(values.keys() - told):
            trial.report(values[epoch], epoch)
            told.add(epoch)


def evenly(sweep: Sweep) -> Iterator[Values]:
    """The points of a sequence that covers the space evenly.

    Raises:
        RunError: Optuna is not installed.
    """
    optuna = _optuna("method `qmc`")
    from optuna.samplers import QMCSampler

    options = msgspec.structs.asdict(_declared("method", sweep.spec.method))
    # An index lies on an axis of its own; categories Optuna would only draw.
    distributions = {
        axis.address: optuna.distributions.IntDistribution(
            0, _FINEST if axis.is_drawn else axis.count - 1
        )
        for axis in sweep.axes
    }
    with _quietly():
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


def _distribution(axis: Axis) -> Any:
    """What Optuna draws: numbers, or the index of a value, which may be of any kind."""
    from optuna import distributions

    if axis.is_drawn:
        return distributions.FloatDistribution(axis.low, axis.high, log=axis.log)
    if axis.whole:
        return distributions.IntDistribution(int(axis.low), int(axis.high))
    return distributions.CategoricalDistribution(tuple(range(axis.count)))


def _choice(axis: Axis, drawn_value: Any) -> Choice:
    if axis.is_drawn or axis.whole:
        return Choice(axis, drawn_value)
    return Choice(axis, axis.known_values()[drawn_value], drawn_value)


def _pruner(spec: dict[str, Any] | None) -> Any:
    from optuna import pruners

    if spec is None:
        return pruners.NopPruner()
    options = msgspec.structs.asdict(_declared("pruner", spec))
    match spec["use"]:
        case "median":
            return pruners.MedianPruner(**options)
        case "successive_halving":
            return pruners.SuccessiveHalvingPruner(**options)
    most = options.pop("max_resource")
    return pruners.HyperbandPruner(max_resource="auto" if most is None else most, **options)


def _declared(kind: Any, spec: dict[str, Any]) -> Any:
    return msgspec.convert(spec, COMPONENTS[kind][spec["use"]])


def _seed(seed: int, trial: int) -> int:
    digest = blake3(f"{seed}/{trial}".encode()).digest(_BITS_OF_SEEDS // 8)
    return int.from_bytes(digest, "little")


def _optuna(what: str) -> Any:
    if find_spec("optuna") is None:
        raise RunError(
            f"{what} needs Optuna, which is not installed\n"
            "hint: `pip install specplan[sweep]`; `grid` and `random` without a pruner need nothing"
        )
    import optuna

    return optuna


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what Optuna says of its own: which of its parts are young, and each trial that ends."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
