"""Early stopping: which series of values it watches, and whether they come early and often enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from specplan.components.callback import EarlyStopping as EarlyStoppingComponent
from specplan.components.callback import Evaluation as EvaluationComponent
from specplan.components.metric import (
    R2,
    MeanAbsoluteError,
    MeanSquaredErrorMetric,
    OfClasses,
    OfLogits,
    RootMeanSquaredError,
)
from specplan.plan.model import EarlyStopping
from specplan.plan.passes.callbacks import callbacks_of, refuse_second
from specplan.plan.passes.evaluations import TRAIN_LOSS, names_of
from specplan.plan.passes.own_component import LiveObject, OwnCode
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.plan.passes.objectives import Chosen
    from specplan.plan.passes.phase import PhaseScheduler
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import TrainSpec

_STOPPING = "early_stopping"
PLATEAU = "reduce_on_plateau"
_MONITORS = (_STOPPING, PLATEAU)

_BETTER: Mapping[type, Literal["min", "max"]] = {
    OfClasses: "max",
    OfLogits: "max",
    R2: "max",
    MeanSquaredErrorMetric: "min",
    RootMeanSquaredError: "min",
    MeanAbsoluteError: "min",
}
"""Which values of a metric are better, where that is known: a metric of the user's is not."""


class Series(NamedTuple):
    """How often a value comes, and from which evaluation."""

    every: int
    evaluation: Path | None


_EVERY_EPOCH = Series(every=1, evaluation=None)


def series_of(phase: PhaseScheduler, spec: TrainSpec, losses: Chosen) -> dict[str, Series]:
    """What epochs are known to produce."""
    series = dict.fromkeys([TRAIN_LOSS, *losses.labels], _EVERY_EPOCH)
    for component, path in callbacks_of(phase, spec):
        if isinstance(component, EvaluationComponent):
            names = names_of(component, losses.labels)
            series |= dict.fromkeys(names, Series(component.every_n_epochs, path))
    return series


def early_stopping(phase: PhaseScheduler, spec: TrainSpec, losses: Chosen) -> EarlyStopping | None:
    """The early stopping of a train phase, if it has one."""
    callbacks = list(callbacks_of(phase, spec))
    series = series_of(phase, spec, losses)
    monitored: set[Path | None] = set()
    found: EarlyStopping | None = None
    first: Path | None = None
    for component, path in callbacks:
        written = spec.callbacks[int(path[-1])]
        named = written["use"] == _STOPPING and isinstance(written.get("monitor"), str)
        if named and written.get("required") is not False:
            # Another fault of the callback says nothing of this.
            check_monitor(phase, spec, written["monitor"], series, path, losses)
        if not isinstance(component, EarlyStoppingComponent):
            continue
        first = refuse_second(phase, _STOPPING, path, first)
        if component.monitor in series:
            monitored.add(series[component.monitor].evaluation)
            # The number of epochs may be what is wrong, under this key or another.
            if component.required and not phase.context.damaged(phase.path):
                _check_pace(phase, spec, component, series[component.monitor], path)
        found = EarlyStopping(
            monitor=component.monitor,
            mode=component.mode,
            patience=component.patience,
            min_delta=component.min_delta,
            restore_best=component.restore_best,
            reducer=component.reducer,
        )
    for component, path in callbacks:
        if isinstance(component, EvaluationComponent) and path not in monitored:
            _warn_of_rare_evaluation(phase, spec, component, path)
    return found


def check_monitor(
    phase: PhaseScheduler,
    spec: TrainSpec,
    monitor: str,
    series: Mapping[str, Series],
    path: Path,
    losses: Chosen,
) -> None:
    """Report a series that no epoch produces, unless a fault hides what is produced."""
    callbacks = list(callbacks_of(phase, spec))
    uncertain = not losses.complete or phase.context.lost_items((*phase.path, "callbacks"))
    uncertain |= phase.context.damaged((*path, "monitor"))
    # What callbacks of the user's return is known when they do.
    uncertain |= any(isinstance(each, OwnCode | LiveObject) for each, _ in callbacks)
    uncertain |= any(
        phase.context.reported(other) and spec.callbacks[int(other[-1])]["use"] not in _MONITORS
        for _, other in callbacks
    )
    if uncertain or monitor in series:
        return
    message = (
        f"{spec.callbacks[int(path[-1])]['use']} monitors `{monitor}`, which no epoch produces; "
        f"produced: {quoted(series)}"
    )
    hint = did_you_mean(monitor, series)
    if monitor.startswith("val_") and len(series) == 1 + len(losses.labels):
        hint = "add the callback `{use: evaluation, split: val}`"
    said = "monitor" in spec.callbacks[int(path[-1])]
    phase.context.error("SP655", message, (*path, "monitor") if said else path, hint=hint)


def _check_pace(
    phase: PhaseScheduler,
    spec: TrainSpec,
    stopping: EarlyStoppingComponent,
    series: Series,
    path: Path,
) -> None:
    """Whether values come early and often enough to stop by, and which of them are better."""
    name, patience = stopping.monitor, stopping.patience
    if series.every > spec.epochs:
        message = (
            f"early_stopping monitors `{name}`, which comes every {series.every} epochs, "
            f"and the phase has {_epochs(spec.epochs)}"
        )
        _pace_error(phase, series, message, (*path, "monitor"))
    elif patience < series.every:
        message = (
            f"early_stopping would end the phase after {_epochs(patience)} without an improvement, "
            f"before the first `{name}`, which comes every {series.every} epochs"
        )
        _pace_error(phase, series, message, (*path, "patience"))
    elif patience >= spec.epochs and not stopping.restore_best:
        message = (
            f"a phase of {_epochs(spec.epochs)} cannot stop early "
            f"after {_epochs(patience)} without an improvement"
        )
        also = [((*phase.path, "epochs"), "the epochs of the phase")]
        phase.context.warning("SP659", message, (*path, "patience"), also=also)
    better = _better(phase, spec, name)
    if better is not None and better != stopping.mode:
        written = spec.callbacks[int(path[-1])]
        direction, way = ("higher", "falls") if better == "max" else ("lower", "rises")
        message = (
            f"`mode: {stopping.mode}` stops when `{name}` no longer {way}, "
            f"but the {direction} it is the better"
        )
        place = (*path, "mode" if "mode" in written else "monitor")
        phase.context.warning("SP658", message, place, hint=f"`mode: {better}`")


def _pace_error(phase: PhaseScheduler, series: Series, message: str, path: Path) -> None:
    assert series.evaluation is not None, "losses come every epoch"
    also = [((*series.evaluation, "every_n_epochs"), "this evaluation")]
    phase.context.error("SP655", message, path, also=also)


def _epochs(number: int) -> str:
    return f"{number} epoch{'s' if number > 1 else ''}"


def _better(phase: PhaseScheduler, spec: TrainSpec, name: str) -> Literal["min", "max"] | None:
    """Which values of a series are better; None where it depends."""
    context = phase.context
    for component, _ in callbacks_of(phase, spec):
        if not isinstance(component, EvaluationComponent):
            continue
        label = name.removeprefix(f"{component.as_ or component.split}_")
        if label != name and label in component.metrics:
            metric = phase.resolved.get(("metrics", label))
            return next((way for kind, way in _BETTER.items() if isinstance(metric, kind)), None)
    weights = [loss.weight for loss in context.spec.losses.values()]
    return "min" if all(weight >= 0 for weight in weights) else None


def _warn_of_rare_evaluation(
    phase: PhaseScheduler, spec: TrainSpec, component: EvaluationComponent, path: Path
) -> None:
    every = component.every_n_epochs
    if every > spec.epochs:
        message = (
            f"an evaluation every {every} epochs never runs in a phase of {_epochs(spec.epochs)}"
        )
        also = [((*phase.path, "epochs"), "the epochs of the phase")]
        phase.context.warning("SP660", message, (*path, "every_n_epochs"), also=also)
