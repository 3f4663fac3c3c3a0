"""What happens between the epochs of a train phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from specplan.components.callback import EarlyStopping as EarlyStoppingComponent
from specplan.components.callback import Evaluation as EvaluationComponent
from specplan.components.callback import LearningRate as LearningRateComponent
from specplan.components.callback import ReduceOnPlateau
from specplan.components.metric import (
    R2,
    Accuracy,
    MeanAbsoluteError,
    MeanSquaredErrorMetric,
    RootMeanSquaredError,
)
from specplan.plan.model import Callback, EarlyStopping, Evaluation, LearningRate, Plateau
from specplan.plan.passes.meetings import refuse_roles
from specplan.plan.passes.outline import Measured
from specplan.plan.passes.own_component import LiveObject, OwnCode
from specplan.spec.model import TrainSpec
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.plan.passes.objectives import Chosen
    from specplan.plan.passes.phase import PhaseScheduler
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import EvalSpec, FitSpec

_STOPPING = "early_stopping"
_PLATEAU = "reduce_on_plateau"
_MONITORS = (_STOPPING, _PLATEAU)
_VAL_LOSS = "val_loss"
_TRAIN_LOSS = "train_loss"


_BETTER: Mapping[type, Literal["min", "max"]] = {
    Accuracy: "max",
    R2: "max",
    MeanSquaredErrorMetric: "min",
    RootMeanSquaredError: "min",
    MeanAbsoluteError: "min",
}
"""Which values of a metric are better, where that is known: a metric of the user's is not."""


class _Series(NamedTuple):
    """How often a value comes, and from which evaluation."""

    every: int
    evaluation: Path | None


_EVERY_EPOCH = _Series(every=1, evaluation=None)


def evaluations(
    phase: PhaseScheduler, spec: TrainSpec, losses: Chosen, source: str | None
) -> tuple[Evaluation, ...] | None:
    """The evaluations of a train phase; None where one of them is faulty."""
    built: list[Evaluation | None] = []
    taken = {_TRAIN_LOSS, *losses.labels}
    for component, path in _callbacks(phase, spec):
        if component is None:
            built.append(None)
        if isinstance(component, EvaluationComponent):
            built.append(_evaluation(phase, component, losses, source, path))
            produced = _names(component, losses.labels)
            again = {name for name in produced if produced.count(name) > 1}
            twice = again or taken.intersection(produced)
            if twice and not phase.context.reported(path):
                message = f"this phase would record two series called {quoted(sorted(twice))}"
                hint = (
                    "rename the loss or metric" if again else "give the evaluation a name with `as`"
                )
                phase.context.error("SP304", message, path, hint=hint)
            taken.update(produced)
    known = tuple(evaluation for evaluation in built if evaluation is not None)
    return known if len(known) == len(built) else None


def own_callbacks(
    phase: PhaseScheduler, spec: TrainSpec | EvalSpec | FitSpec
) -> tuple[Callback, ...]:
    """The callbacks of a phase that are not built in."""
    found: dict[str, Callback] = {}
    for component, path in _callbacks(phase, spec):
        if isinstance(component, OwnCode | LiveObject):
            label = _label(component)
            if label in found:
                message = f"this phase has two callbacks `{label}`"
                phase.context.error("SP304", message, path, hint="give one another `label`")
            found[label] = Callback(label=label, component=component.component)
        elif component is not None and not isinstance(spec, TrainSpec):
            use = spec.callbacks[int(path[-1])]["use"]
            message = f"`{use}` happens between epochs, and only a train phase has some"
            phase.context.error("SP663", message, (*path, "use"))
    return tuple(found.values())


def _label(component: OwnCode | LiveObject) -> str:
    if isinstance(component, LiveObject):
        return str(component.value.label)
    return str(component.given.get("label") or component.signature.name)


def learning_rate(phase: PhaseScheduler, spec: TrainSpec, steps: int) -> LearningRate | None:
    """The schedule of a train phase of so many steps, if it has one."""
    found: LearningRate | None = None
    for component, path in _callbacks(phase, spec):
        if not isinstance(component, LearningRateComponent):
            continue
        if found is not None:
            phase.context.error("SP304", "this phase has two callbacks learning_rate", path)
        if component.warmup >= steps:
            message = f"the learning rate would rise for {component.warmup} steps, and the phase has {steps}"
            also = [((*phase.path, "epochs"), "the epochs of the phase")]
            phase.context.error("SP664", message, (*path, "warmup"), also=also)
        _check_schedule(phase, component, path)
        found = LearningRate(**msgspec.structs.asdict(component))
    return found


def _check_schedule(phase: PhaseScheduler, component: LearningRateComponent, path: Path) -> None:
    """Report arguments that the schedule contradicts."""
    if component.schedule == "one_cycle" and component.warmup:
        message = "`one_cycle` rises by itself: `warmup` would rise before it"
        hint = "`pct_start` says for how long it rises"
        phase.context.error("SP667", message, (*path, "warmup"), hint=hint)
    if component.schedule == "multi_step" and not component.milestones:
        message = "`multi_step` has no `milestones`, so the learning rate would stay"
        phase.context.error("SP667", message, path, hint="such as `milestones: [30, 80]`")


def plateau(phase: PhaseScheduler, spec: TrainSpec, losses: Chosen) -> Plateau | None:
    """When the learning rate of a train phase falls because a metric stays, if it does."""
    series = _series(phase, spec, losses)
    found: Plateau | None = None
    for component, path in _callbacks(phase, spec):
        written = spec.callbacks[int(path[-1])]
        if written["use"] == _PLATEAU and isinstance(written.get("monitor", _VAL_LOSS), str):
            monitor = written.get("monitor", _VAL_LOSS)
            _check_monitor(phase, spec, monitor, series, path, losses)
        if not isinstance(component, ReduceOnPlateau):
            continue
        if found is not None:
            phase.context.error("SP304", f"this phase has two callbacks {_PLATEAU}", path)
        found = Plateau(**msgspec.structs.asdict(component))
    return found


def _series(phase: PhaseScheduler, spec: TrainSpec, losses: Chosen) -> dict[str, _Series]:
    """What epochs are known to produce."""
    series = dict.fromkeys([_TRAIN_LOSS, *losses.labels], _EVERY_EPOCH)
    for component, path in _callbacks(phase, spec):
        if isinstance(component, EvaluationComponent):
            names = _names(component, losses.labels)
            series |= dict.fromkeys(names, _Series(component.every_n_epochs, path))
    return series


def early_stopping(phase: PhaseScheduler, spec: TrainSpec, losses: Chosen) -> EarlyStopping | None:
    """The early stopping of a train phase, if it has one."""
    callbacks = list(_callbacks(phase, spec))
    series = _series(phase, spec, losses)
    monitored: set[Path | None] = set()
    found: EarlyStopping | None = None
    for component, path in callbacks:
        written = spec.callbacks[int(path[-1])]
        named = written["use"] == _STOPPING and isinstance(written.get("monitor"), str)
        if named and written.get("required") is not False:
            # Another fault of the callback says nothing of this.
            _check_monitor(phase, spec, written["monitor"], series, path, losses)
        if not isinstance(component, EarlyStoppingComponent):
            continue
        if found is not None:
            phase.context.error("SP304", "this phase has two callbacks early_stopping", path)
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


def _check_monitor(
    phase: PhaseScheduler,
    spec: TrainSpec,
    monitor: str,
    series: Mapping[str, _Series],
    path: Path,
    losses: Chosen,
) -> None:
    """Report a series that no epoch produces, unless a fault hides what is produced."""
    callbacks = list(_callbacks(phase, spec))
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
    series: _Series,
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


def _pace_error(phase: PhaseScheduler, series: _Series, message: str, path: Path) -> None:
    assert series.evaluation is not None, "losses come every epoch"
    also = [((*series.evaluation, "every_n_epochs"), "this evaluation")]
    phase.context.error("SP655", message, path, also=also)


def _epochs(number: int) -> str:
    return f"{number} epoch{'s' if number > 1 else ''}"


def _better(phase: PhaseScheduler, spec: TrainSpec, name: str) -> Literal["min", "max"] | None:
    """Which values of a series are better; None where it depends."""
    context = phase.context
    for component, _ in _callbacks(phase, spec):
        if not isinstance(component, EvaluationComponent):
            continue
        label = name.removeprefix(f"{component.as_ or component.split}_")
        if label != name and label in component.metrics:
            return _BETTER.get(type(phase.resolved.get(("metrics", label))))
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


def _callbacks(
    phase: PhaseScheduler, spec: TrainSpec | EvalSpec | FitSpec
) -> Iterator[tuple[object | None, Path]]:
    for index in range(len(spec.callbacks)):
        path = (*phase.path, "callbacks", index)
        yield phase.resolved.get(path), path


def _names(component: EvaluationComponent, phase_losses: tuple[str, ...]) -> list[str]:
    prefix = component.as_ or component.split
    labels = phase_losses if component.losses is None else component.losses
    named = [*component.means, *component.sums]
    total = [f"{prefix}_loss"] if labels and f"{prefix}_loss" not in named else []
    return [*total, *(f"{prefix}_{name}" for name in (*labels, *component.metrics)), *named]


def _check_named(
    phase: PhaseScheduler, component: EvaluationComponent, losses: Chosen, path: Path
) -> bool:
    """Whether every series that is made of one loss is made of a loss that is evaluated."""
    right = losses.complete
    for key in ("means", "sums"):
        for name, label in getattr(component, key).items():
            if label not in losses.labels and losses.complete:
                message = f"this evaluation has no loss `{label}`; it has {quoted(losses.labels) or 'none'}"
                hint = did_you_mean(label, losses.labels)
                phase.context.error("SP301", message, (*path, key, name), hint=hint)
                right = False
    return right


def _evaluation(
    phase: PhaseScheduler,
    component: EvaluationComponent,
    phase_losses: Chosen,
    source: str | None,
    path: Path,
) -> Evaluation | None:
    losses = (
        phase_losses
        if component.losses is None
        else phase.choose("losses", component.losses, (*path, "losses"))
    )
    metrics = phase.choose("metrics", component.metrics, (*path, "metrics"))
    first = source
    refuse_roles(phase, losses, path)
    records = component.record == "all"
    measured = losses.reads | metrics.reads
    nodes = phase.activity.needed(measured or (set(phase.wired.order) if records else set()))
    if isinstance(phase.spec, TrainSpec) and phase.spec.inputs is not None and nodes:
        # The phase may read several FeatureSets, of which the evaluation reads the one of its nodes.
        source = phase.source(nodes)
    rows = phase.rows(source, component.split, (*path, "split")) if source else None
    phase.activity.check_fitted(nodes, (), path, phase.step.guards)
    phase.measured.append(Measured(path=path, split=component.split, nodes=nodes))
    read = phase.wired.feature_sets(nodes)
    if source and read not in ([], [source]):
        message = f"the phase reads {source}, this evaluation reads {quoted(read)}"
        phase.context.error("SP307", message, path)
        return None
    complete = losses.complete and metrics.complete
    if not (losses.labels or metrics.labels or records) and complete:
        message = "this evaluation has neither losses nor metrics"
        phase.context.error("SP657", message, path)
        return None
    named = _check_named(phase, component, losses, path)
    known = phase.wired.nodes.keys() >= set(nodes)
    if source is None or rows is None or not (complete and named and known):
        return None
    carriers = losses.carriers | metrics.carriers | phase.activity.sinks(nodes)
    if getattr(phase.spec, "record_nodes", "judged") == "all":
        carriers = set(nodes)
    return Evaluation(
        name=component.as_ or component.split,
        split=component.split,
        rows=rows,
        nodes=nodes,
        losses=losses.objectives,
        metrics=metrics.objectives,
        every_n_epochs=component.every_n_epochs,
        batch_size=component.batch_size,
        run_on_start=component.run_on_start,
        records=phase.records(source, nodes, carriers) if records else (),
        means=component.means,
        sums=component.sums,
        data=None if source == first else source,
    )
