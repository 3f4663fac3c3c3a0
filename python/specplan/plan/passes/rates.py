"""The learning rate of a train phase: its schedule, and what lowers it when a metric stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components.callback import LearningRate as LearningRateComponent
from specplan.components.callback import ReduceOnPlateau
from specplan.plan.model import LearningRate, Plateau
from specplan.plan.passes.callbacks import callbacks_of, refuse_second
from specplan.plan.passes.monitors import PLATEAU, check_monitor, series_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.plan.model import Component
    from specplan.plan.passes.objectives import Chosen
    from specplan.plan.passes.phase import PhaseScheduler
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import TrainSpec

_VAL_LOSS = "val_loss"


def learning_rate(phase: PhaseScheduler, spec: TrainSpec, steps: int) -> LearningRate | None:
    """The schedule of a train phase of so many steps, if it has one."""
    found: LearningRate | None = None
    first: Path | None = None
    for component, path in callbacks_of(phase, spec):
        if not isinstance(component, LearningRateComponent):
            continue
        first = refuse_second(phase, "learning_rate", path, first)
        if component.warmup >= steps:
            message = f"the learning rate would rise for {component.warmup} steps, and the phase has {steps}"
            also = [((*phase.path, "epochs"), "the epochs of the phase")]
            phase.context.error("SP664", message, (*path, "warmup"), also=also)
        _check_schedule(phase, component, path)
        _warn_of_late_falls(phase, spec, component, path)
        found = LearningRate(**msgspec.structs.asdict(component))
    return found


def _check_schedule(phase: PhaseScheduler, component: LearningRateComponent, path: Path) -> None:
    """Report arguments that the schedule contradicts."""
    if component.schedule == "one_cycle" and component.warmup:
        message = "`one_cycle` rises by itself: `warmup` would rise before it"
        hint = "`pct_start` says for how long it rises"
        phase.context.error("SP667", message, (*path, "warmup"), hint=hint)
    if component.cycle_momentum and component.schedule != "one_cycle":
        message = f"`{component.schedule}` leaves the momentum alone: only `one_cycle` cycles it"
        phase.context.error("SP667", message, (*path, "cycle_momentum"))
    if component.schedule == "multi_step" and not component.milestones:
        message = "`multi_step` has no `milestones`, so the learning rate would stay"
        phase.context.error("SP667", message, path, hint="such as `milestones: [30, 80]`")


def _warn_of_late_falls(
    phase: PhaseScheduler, spec: TrainSpec, component: LearningRateComponent, path: Path
) -> None:
    """Warn of a learning rate that would fall when the phase is over."""
    late = [index for index, epoch in enumerate(component.milestones) if epoch >= spec.epochs]
    place: Path | None = None
    if component.schedule == "multi_step" and late:
        place = (*path, "milestones", late[0])
        epoch = component.milestones[late[0]]
    elif component.schedule == "step" and 1 < spec.epochs <= component.every_n_epochs:
        place, epoch = (*path, "every_n_epochs"), component.every_n_epochs
    if place is not None:
        message = f"the learning rate would fall after {epoch} epochs, when the phase is over"
        also = [((*phase.path, "epochs"), "the epochs of the phase")]
        phase.context.warning("SP664", message, place, also=also)


def check_momentum(phase: PhaseScheduler, spec: TrainSpec, updating: Mapping[str, Any]) -> None:
    """Report a momentum that is to go in a cycle where an optimizer is known to have none."""
    common: Component | None = updating.get("optimizer")
    optimizers: list[Component] = [*updating.get("optimizers", {}).values()]
    without = [
        each.use
        for each in (*optimizers, *([] if common is None else [common]))
        if each.code is None and each.live is None and not {"betas", "momentum"} & each.args.keys()
    ]
    for component, path in callbacks_of(phase, spec):
        if isinstance(component, LearningRateComponent) and component.cycle_momentum and without:
            message = f"optimizer `{without[0]}` has neither a momentum nor betas to cycle"
            phase.context.error("SP667", message, (*path, "cycle_momentum"))


def plateau(phase: PhaseScheduler, spec: TrainSpec, losses: Chosen) -> Plateau | None:
    """When the learning rate of a train phase falls because a metric stays, if it does."""
    series = series_of(phase, spec, losses)
    found: Plateau | None = None
    first: Path | None = None
    for component, path in callbacks_of(phase, spec):
        written = spec.callbacks[int(path[-1])]
        if written["use"] == PLATEAU and isinstance(written.get("monitor", _VAL_LOSS), str):
            monitor = written.get("monitor", _VAL_LOSS)
            check_monitor(phase, spec, monitor, series, path, losses)
        if not isinstance(component, ReduceOnPlateau):
            continue
        first = refuse_second(phase, PLATEAU, path, first)
        found = Plateau(**msgspec.structs.asdict(component))
    return found
