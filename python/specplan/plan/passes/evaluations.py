"""The evaluations between the epochs of a train phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.components.callback import Evaluation as EvaluationComponent
from specplan.plan.model import Evaluation
from specplan.plan.passes.callbacks import callbacks_of
from specplan.plan.passes.meetings import refuse_roles
from specplan.plan.passes.outline import Measured
from specplan.spec.model import TrainSpec
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from specplan.plan.passes.objectives import Chosen
    from specplan.plan.passes.phase import PhaseScheduler
    from specplan.spec.diagnostics import Path

TRAIN_LOSS = "train_loss"


def evaluations(
    phase: PhaseScheduler, spec: TrainSpec, losses: Chosen, source: str | None
) -> tuple[Evaluation, ...] | None:
    """The evaluations of a train phase; None where one of them is faulty."""
    built: list[Evaluation | None] = []
    taken = {TRAIN_LOSS, *losses.labels}
    for component, path in callbacks_of(phase, spec):
        if component is None:
            built.append(None)
        if isinstance(component, EvaluationComponent):
            built.append(_evaluation(phase, component, losses, source, path))
            produced = names_of(component, losses.labels)
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


def names_of(component: EvaluationComponent, phase_losses: tuple[str, ...]) -> list[str]:
    """The series that an evaluation gives."""
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


def _check_reads(
    phase: PhaseScheduler, source: str | None, nodes: tuple[str, ...], path: Path, *, idle: bool
) -> bool:
    """Whether an evaluation reads the rows of its phase, and is not `idle`."""
    read = phase.wired.feature_sets(nodes)
    if source and read not in ([], [source]):
        message = f"the phase reads {source}, this evaluation reads {quoted(read)}"
        phase.context.error("SP307", message, path)
        return False
    if idle:
        message = "this evaluation has neither losses nor metrics"
        phase.context.error("SP657", message, path)
    return not idle


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
    complete = losses.complete and metrics.complete
    idle = complete and not (losses.labels or metrics.labels or records)
    if not _check_reads(phase, source, nodes, path, idle=idle):
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
