"""The bill of a plan: what running it takes, known before anything is read or run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec

from specplan.base.amounts import size
from specplan.components.sampler import DEFAULT_ROLE
from specplan.plan.by_feed import by_feed
from specplan.plan.flops import Flops, flops, known
from specplan.plan.model import Train
from specplan.plan.peak_memory import Memory, computed_once, peak_memory
from specplan.plan.recorded_bytes import (
    STORE_FILES,
    RecordedBytes,
    batch_size,
    epoch_rows,
    recorded_bytes,
)
from specplan.spec.diagnostics import Diagnostic, Origin

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled, Phase, Plan


class PhaseCost(msgspec.Struct, frozen=True, kw_only=True):
    """What one phase takes. Where it may end sooner, all numbers are upper bounds.

    Attributes:
        path, phase: label and kind; rows: of its split; batch_size: rows of a batch.
        epochs: 1 for phases that go through their rows once; steps: batches of all epochs.
        updates: changes of the weights by gradients, of which each may take several batches.
        may_end_early: what may end or skip it, in words; empty if nothing does.
        trained: parameters that the optimizer changes; parameters: of all nodes that compute.
        flops_forward: floating-point operations of one forward pass over all rows.
        flops: of the whole phase, backward passes and evaluations between epochs among them.
        uncounted: nodes whose operations are not known: those of scikit-learn, and code of the user that was
            not tried, or cannot be counted.
        memory: at the peak. recorded: on the disk, when the run is over.
        computed_once: nodes that are computed for all rows before the first step.
    """

    path: str
    phase: str
    rows: int
    batch_size: int
    epochs: int = 1
    steps: int
    updates: int = 0
    may_end_early: tuple[str, ...] = ()
    trained: int = 0
    parameters: int
    flops_forward: int
    flops: int
    uncounted: tuple[str, ...]
    memory: Memory
    recorded: RecordedBytes
    computed_once: tuple[str, ...]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan takes.

    Attributes:
        id, experiment: of the plan.
        parameters: of all nodes of the graph, without those in `unknown_parameters`.
        unknown_parameters: models of the user's whose code was not run.
        countable: nodes of code that counts what is not known of them when it is tried.
        steps, flops: of all phases.
        peak_memory: bytes of the phase that takes most, beside what Python and its libraries take.
        records: bytes on the disk of all records; tables: at most, of the Parquet tables beside them.
    """

    id: str
    experiment: str
    phases: tuple[PhaseCost, ...]
    parameters: int
    unknown_parameters: tuple[str, ...]
    countable: tuple[str, ...] = ()
    steps: int
    flops: int
    peak_memory: int
    records: int
    tables: int


def cost(plan: Plan) -> Cost:
    """The bill of a plan that holds together."""
    recorded = recorded_bytes(plan)
    memory = peak_memory(plan, [each.tensors for each in recorded])
    phases = tuple(
        _of_phase(plan, *parts) for parts in zip(plan.phases, memory, recorded, strict=True)
    )
    return Cost(
        id=plan.id,
        experiment=plan.experiment.id,
        phases=phases,
        parameters=sum(node.parameters or 0 for node in plan.graph.nodes.values()),
        unknown_parameters=tuple(
            label for label, node in plan.graph.nodes.items() if node.parameters is None
        ),
        countable=tuple(
            label
            for label in plan.graph.order
            if plan.graph.nodes[label].component.code is not None
            and not (known(plan.graph.nodes[label]) or plan.graph.nodes[label].uncountable)
        ),
        steps=sum(phase.steps for phase in phases),
        flops=sum(phase.flops for phase in phases),
        peak_memory=max((phase.memory.total for phase in phases), default=0),
        records=STORE_FILES + sum(each.records for each in recorded),
        tables=sum(each.tables for each in recorded),
    )


def _of_phase(plan: Plan, phase: Phase, memory: Memory, recorded: RecordedBytes) -> PhaseCost:
    nodes = plan.graph.nodes
    forward = sum(
        _computed(part) * flops(plan.graph, part.nodes).forward
        for part in (by_feed(plan.graph, phase) if isinstance(phase, Train) else (phase,))
    )
    found = PhaseCost(
        path=phase.path,
        phase=str(phase.__struct_config__.tag),
        rows=phase.rows,
        batch_size=batch_size(phase),
        steps=phase.steps,
        parameters=sum(nodes[label].parameters or 0 for label in phase.nodes),
        flops_forward=forward,
        flops=forward,
        uncounted=tuple(label for label in phase.nodes if not known(nodes[label])),
        memory=memory,
        recorded=recorded,
        computed_once=computed_once(plan, phase) if phase.steps > 1 else (),
        may_end_early=_conditions(phase),
    )
    return _with_training(found, plan, phase) if isinstance(phase, Train) else found


def _with_training(found: PhaseCost, plan: Plan, phase: Train) -> PhaseCost:
    total = 0
    for part in by_feed(plan.graph, phase):
        total += phase.epochs * epoch_rows(part) * _of_row(plan, part)
    for evaluation in phase.evaluations:
        passes = phase.epochs // evaluation.every_n_epochs + evaluation.run_on_start
        total += passes * evaluation.rows * flops(plan.graph, evaluation.nodes).forward
    computing = dict.fromkeys(phase.nodes)
    for evaluation in phase.evaluations:
        computing |= dict.fromkeys(evaluation.nodes)
    steps = phase.epochs * phase.steps
    return msgspec.structs.replace(
        found,
        epochs=phase.epochs,
        steps=steps,
        updates=phase.epochs * phase.updates if phase.trainable else 0,
        may_end_early=(*_early_ends(phase), *found.may_end_early),
        trained=sum(plan.graph.nodes[label].parameters or 0 for label in phase.trainable),
        flops=total,
        uncounted=tuple(label for label in computing if not known(plan.graph.nodes[label])),
        computed_once=computed_once(plan, phase) if steps > 1 else (),
    )


def _of_row(plan: Plan, phase: Train) -> int:
    """Operations of both passes for one row, or one tuple: a gradient goes through the roles that losses name."""
    total = Flops()
    for role in phase.sampler.roles or (DEFAULT_ROLE,):
        judged = {
            argument.node
            for loss in phase.losses
            for argument in loss.arguments
            if argument.field == "outputs" and argument.role == role
        }
        total += flops(
            plan.graph,
            phase.nodes,
            trainable=phase.trainable,
            judged=judged,
            apart=phase.optimizers,
        )
    return total.forward + total.backward


def _computed(phase: Phase) -> int:
    """Rows of an epoch that each node computes: of a tuple one for each role."""
    roles = len(phase.sampler.roles) if isinstance(phase, Train) else 1
    return epoch_rows(phase) * max(1, roles)


def _early_ends(phase: Train) -> tuple[str, ...]:
    stopping = phase.early_stopping
    return () if stopping is None else (f"early stopping on {stopping.monitor} may end it sooner",)


def _conditions(phase: Phase) -> tuple[str, ...]:
    metrics = dict.fromkeys(guard.metric for guard in phase.guards)
    return tuple(f"a condition on {metric} may skip it" for metric in metrics)


def space_warning(compiled: Compiled, root: Path) -> Diagnostic | None:
    """What to say where the disk of `root` has less room than the records and tables may take."""
    bill = cost(compiled.plan)
    free = free_bytes(root)
    if bill.records + bill.tables <= free:
        return None
    largest = max(
        range(len(bill.phases)),
        key=lambda index: bill.phases[index].recorded.records + bill.phases[index].recorded.tables,
    )
    phase = bill.phases[largest]
    advice = "`record: last` or `record: none` takes less"
    if phase.recorded.metrics > phase.recorded.tensors:
        advice = "it is the metrics of every step: fewer steps take less"
    return Diagnostic(
        code="SP802",
        message=(
            f"recording needs about {size(bill.records)} and tables up to {size(bill.tables)}, "
            f"{size(free)} are free in `{root}`"
        ),
        origin=compiled.origins.get(
            f"/phases/{largest}", Origin(file=None, path=("phases", largest))
        ),
        severity="warning",
        hint=f"most of it is of phase `{phase.path}`; {advice}",
    )


def free_bytes(folder: Path) -> int:
    """Room on the disk of a folder, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
