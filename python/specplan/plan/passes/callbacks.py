"""What happens between the epochs of a train phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.components.callback import EarlyStopping as EarlyStoppingComponent
from specplan.components.callback import Evaluation as EvaluationComponent
from specplan.plan.model import EarlyStopping, Evaluation
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.passes.objectives import Chosen
    from specplan.plan.passes.schedule import PhaseScheduler
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import TrainSpec

_TRAIN_LOSS = "train_loss"


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
            if twice := again or taken.intersection(produced):
                message = f"this phase would record two series called {quoted(sorted(twice))}"
                hint = (
                    "rename the loss or metric" if again else "give the evaluation a name with `as`"
                )
                phase.context.error("SP304", message, path, hint=hint)
            taken.update(produced)
    known = tuple(evaluation for evaluation in built if evaluation is not None)
    return known if len(known) == len(built) else None


def early_stopping(phase: PhaseScheduler, spec: TrainSpec, losses: Chosen) -> EarlyStopping | None:
    """The early stopping of a train phase, if it has one."""
    callbacks = list(_callbacks(phase, spec))
    produced = [_TRAIN_LOSS, *losses.labels]
    for component, _ in callbacks:
        if isinstance(component, EvaluationComponent):
            produced += _names(component, losses.labels)
    found: EarlyStopping | None = None
    for component, path in callbacks:
        if not isinstance(component, EarlyStoppingComponent):
            continue
        if found is not None:
            phase.context.error("SP304", "this phase has two callbacks early_stopping", path)
        # A faulty callback or loss list might have produced the name.
        uncertain = phase.context.damaged((*phase.path, "callbacks")) or not losses.complete
        if component.monitor not in produced and not uncertain:
            message = (
                f"early_stopping monitors `{component.monitor}`, which no epoch produces; "
                f"produced: {quoted(produced)}"
            )
            hint = did_you_mean(component.monitor, produced)
            if component.monitor.startswith("val_") and len(produced) == 1 + len(losses.labels):
                hint = "add the callback `{use: evaluation, split: val}`"
            phase.context.error("SP655", message, (*path, "monitor"), hint=hint)
        found = EarlyStopping(
            monitor=component.monitor,
            mode=component.mode,
            patience=component.patience,
            min_delta=component.min_delta,
            restore_best=component.restore_best,
        )
    return found


def _callbacks(phase: PhaseScheduler, spec: TrainSpec) -> Iterator[tuple[object | None, Path]]:
    for index in range(len(spec.callbacks)):
        path = (*phase.path, "callbacks", index)
        yield phase.resolved.get(path), path


def _names(component: EvaluationComponent, phase_losses: tuple[str, ...]) -> list[str]:
    prefix = component.as_ or component.split
    labels = phase_losses if component.losses is None else component.losses
    total = ["loss"] if labels else []
    return [f"{prefix}_{name}" for name in (*total, *labels, *component.metrics)]


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
    rows = phase.rows(source, component.split, (*path, "split")) if source else None
    nodes = phase.activity.needed(losses.reads | metrics.reads)
    phase.activity.check_fitted(nodes, (), path, phase.step.guards)
    read = {name for label in nodes for name in phase.wired.feature_sets[label]}
    if source and read - {source}:
        message = f"the phase reads {source}, this evaluation reads {quoted(sorted(read))}"
        phase.context.error("SP307", message, path)
        return None
    if not losses.labels and not metrics.labels and losses.complete and metrics.complete:
        message = "this evaluation has neither losses nor metrics"
        phase.context.error("SP657", message, path)
        return None
    if rows is None or not (losses.complete and metrics.complete):
        return None
    return Evaluation(
        name=component.as_ or component.split,
        split=component.split,
        rows=rows,
        nodes=nodes,
        losses=losses.objectives,
        metrics=metrics.objectives,
        every_n_epochs=component.every_n_epochs,
        batch_size=component.batch_size,
    )
