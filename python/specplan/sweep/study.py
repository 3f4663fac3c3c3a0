"""Points that are chosen by what runs have measured, and runs that are not worth going on with."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.spec.wording import as_json
from specplan.store.run_file import Status
from specplan.sweep.by_optuna import (
    choice,
    declared,
    distribution,
    pruner,
    quietly,
    sampler,
    seed_of,
)
from specplan.sweep.folder import SEED
from specplan.sweep.measured import epoch_values, final_value
from specplan.sweep.points import Choice, restored
from specplan.sweep.spec import compile_point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.plan.model import Compiled
    from specplan.store.sweep_file import SweepPoint
    from specplan.sweep.folder import SweepFolder
    from specplan.sweep.points import Values
    from specplan.sweep.spec import Sweep

    Planned = tuple[Values, Compiled]


class _Run:
    """A run as a pruner knows it: a trial of its own."""

    def __init__(self, trial: Any, group: _Group) -> None:
        self.trial = trial
        self.group = group
        self.told: dict[int, float] = {}


class _Group:
    """The runs of one trial: one for each seed.

    Attributes:
        trial: what the sampler knows of them together; None where the points are known.
        points: those of its runs that have begun.
        ended: how each of these has ended, and its value.
    """

    def __init__(self, trial: Any, chosen: Values) -> None:
        self.trial = trial
        self.chosen = chosen
        self.points: list[SweepPoint] = []
        self.ended: dict[int, tuple[Status, float | None]] = {}


class Studied:
    """A study of Optuna's goes by what runs measured. Its memory are the runs: it is made anew in each process.

    What is drawn for a trial depends on the seed of the sweep, the number of the trial and the trials before it, and so is
    the same again when a sweep goes on. Where each point is run with several seeds, these runs are one trial: its value is
    the mean of theirs, and what a pruner compares after an epoch is the mean of those that came so far.
    """

    def __init__(self, sweep: Sweep, points: Sequence[Planned] | None, folder: SweepFolder) -> None:
        assert sweep.spec.metric is not None, "the compiler has checked it"
        self._sweep = sweep
        self._points = None if points is None else iter(points)
        self._folder = folder
        self._metric = sweep.spec.metric
        self._seeds = [None] if sweep.seeds is None else [*sweep.seeds.known_values()]
        self._asked = 0
        self._group: _Group | None = None
        self._groups: dict[str, _Group] = {}
        self._runs: dict[int, _Run] = {}
        self._axes = () if points is not None else sweep.axes
        self._study = self._new_study()
        # The runs of one trial are several to a pruner, and several trials are one to a sampler.
        self._apart = len(self._seeds) > 1
        self._judging = self._new_study() if self._apart else self._study
        self._distributions = {axis.address: distribution(axis) for axis in self._axes}

    def next(self) -> Planned | None:
        if self._points is not None:
            return next(self._points, None)
        group = self._group
        if group is None or len(group.points) == len(self._seeds):
            if self._asked >= self._sweep.spec.runs:
                return None
            trial = self._ask()
            chosen = tuple(choice(axis, trial.params[axis.address]) for axis in self._axes)
            group = self._group = _Group(trial, chosen)
        point = (*group.chosen, *self._seed_of(len(group.points)))
        return point, compile_point(self._sweep, point)

    def begun(self, point: SweepPoint) -> None:
        group = self._group_of(point)
        group.points.append(point)
        trial = self._judging.ask() if self._apart or group.trial is None else group.trial
        self._runs[point.index] = _Run(trial, group)

    def judged(self, point: SweepPoint, epoch: int, value: float) -> str | None:
        # Epochs before a checkpoint are not trained again, but others are compared with them.
        known = epoch_values(self._folder.run_of(point), self._metric)
        self._report(point, {each: known[each] for each in known if each < epoch} | {epoch: value})
        run = self._runs[point.index]
        with quietly():
            prune = run.trial.should_prune()
        use = (self._sweep.spec.pruner or {}).get("use")
        return f"{use}: {self._metric} {run.told[epoch]:.4g} after epoch {epoch}" if prune else None

    def over(self, point: SweepPoint, status: Status) -> None:
        if not status.is_concluded and status is not Status.FAILED:
            return
        run, value = self._runs[point.index], None
        if status.is_concluded:
            folder = self._folder.run_of(point)
            if self._sweep.spec.pruner is not None:
                self._report(point, epoch_values(folder, self._metric))
            value = final_value(folder, self._metric)
        group = run.group
        group.ended[point.index] = (status, value)
        if run.trial is not group.trial:
            self._tell(self._judging, run.trial, [(status, value)])
        if group.trial is not None and len(group.ended) == len(self._seeds):
            self._tell(self._study, group.trial, [*group.ended.values()])

    def _group_of(self, point: SweepPoint) -> _Group:
        """The trial of a point that begins: of those that the sweep knows from before, or the one that was asked for."""
        if self._points is not None:
            own = {name: value for name, value in point.values.items() if name != SEED}
            key = as_json(own if self._apart else point.index)
            return self._groups.setdefault(key, _Group(None, ()))
        if self._group is None or len(self._group.points) == len(self._seeds):
            chosen = restored(self._axes, point.values)
            self._study.enqueue_trial(
                {
                    each.axis.address: each.value if each.index is None else each.index
                    for each in chosen
                }
            )
            self._group = _Group(self._ask(), chosen)
        return self._group

    def _tell(self, study: Any, trial: Any, ended: Sequence[tuple[Status, float | None]]) -> None:
        from optuna.trial import TrialState

        states = {status for status, _ in ended}
        mean = statistics.fmean(math.nan if value is None else value for _, value in ended)
        with quietly():
            if Status.FAILED not in states and Status.STOPPED in states:
                if study is not self._judging and not math.isnan(mean):
                    trial.report(
                        mean, 0
                    )  # a sampler ranks what was pruned by what it was told last
                study.tell(trial, state=TrialState.PRUNED)
            elif Status.FAILED in states or math.isnan(mean):
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, mean)

    def _new_study(self) -> Any:
        import optuna

        with quietly():
            return optuna.create_study(
                # Hyperband deals trials out by the name.
                study_name=self._sweep.key,
                direction="minimize" if self._sweep.spec.mode == "min" else "maximize",
                sampler=optuna.samplers.RandomSampler(seed=0),
                pruner=pruner(self._sweep.spec.pruner),
            )

    def _ask(self) -> Any:
        seed = seed_of(self._sweep.spec.seed, self._asked)
        options = msgspec.structs.asdict(declared("method", self._sweep.spec.method))
        self._asked += 1
        with quietly():
            self._study.sampler = sampler(self._sweep.method, seed, options)
            return self._study.ask(self._distributions)

    def _seed_of(self, place: int) -> Values:
        axis = self._sweep.seeds
        return () if axis is None else (Choice(axis, self._seeds[place]),)

    def _report(self, point: SweepPoint, values: dict[int, float]) -> None:
        run = self._runs[point.index]
        others = [self._folder.run_of(each) for each in run.group.points if each is not point]
        known = [epoch_values(each, self._metric) for each in others if each.run_file.is_file()]
        for epoch in sorted(values.keys() - run.told):
            alike = [values[epoch], *(each[epoch] for each in known if epoch in each)]
            run.told[epoch] = statistics.fmean(alike)
            run.trial.report(run.told[epoch], epoch)
