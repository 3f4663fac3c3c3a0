"""What one step of a train phase does to the weights: its optimizers, clipping, accumulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.components.component import Component
from specplan.plan.model import Clip
from specplan.plan.passes.components import TorchUse, as_plan
from specplan.plan.passes.own_component import UsersOwn
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.phase import PhaseScheduler
    from specplan.spec.model import ClipSpec, TrainSpec


def check_clips(context: Context) -> None:
    """Report limits of gradients where no optimizer has them."""
    graph = context.spec.graph
    hint = "such as `optimizer: {use: adam}` beside it"
    if graph.clip is not None and graph.optimizer is None:
        message = "`clip` limits the gradients of the optimizer beside it, and the graph has none"
        context.error("SP666", message, ("graph", "clip"), hint=hint)
    for label, node in graph.nodes.items():
        place = ("graph", "nodes", label, "clip")
        if node.clip is not None and node.optimizer is None and not context.lost(place[:-1]):
            message = (
                f"`clip` limits the gradients of the optimizer beside it, and {label} has none"
            )
            context.error("SP666", message, place, hint=hint)


def check_accumulation(
    phase: PhaseScheduler, spec: TrainSpec, trainable: tuple[str, ...], steps: int
) -> None:
    """Warn of gradients that are not there, or of more than there are."""
    place = (*phase.path, "accumulate")
    if spec.accumulate > 1 and not trainable:
        message = "`accumulate` adds up gradients, and this phase trains nothing by gradients"
        phase.context.warning("SP665", message, place)
    elif spec.accumulate > steps:
        message = (
            f"`accumulate: {spec.accumulate}` is more than the batches of an epoch, which are "
            f"{steps}: the weights change once in an epoch"
        )
        phase.context.warning("SP665", message, place)


def optimizers(
    phase: PhaseScheduler, trainable: tuple[str, ...], fits: tuple[str, ...]
) -> dict[str, Any] | None:
    """The optimizer of the graph, or that of each node; None where a fault was reported."""
    nodes = phase.context.spec.graph.nodes
    whole = phase.context.spec.graph.optimizer is not None
    own = [label for label in trainable if nodes[label].optimizer is not None]
    if whole and trainable and fits:
        message = (
            f"this phase trains {quoted(trainable)} by the optimizer of the graph and "
            f"{quoted(fits)} of scikit-learn"
        )
        hint = "give each torch node its own `optimizer` and the graph none, or train them in two phases"
        phase.context.error("SP622", message, phase.path, hint=hint)
        return None
    if not trainable:
        return {}
    if whole or not own:
        optimizer = _optimizer(phase)
        if optimizer is None:
            return None
        return {"optimizer": as_plan(optimizer), "clip": _clip(phase.context.spec.graph.clip)}
    missing = [label for label in trainable if label not in own]
    if missing:
        message = f"{quoted(missing)} would be trained, and neither the graph nor the node has an optimizer"
        hint = f"such as `optimizer: {{use: adam}}` in {missing[0]}"
        phase.context.error("SP204", message, phase.path, hint=hint)
        return None
    resolved = {label: phase.resolved.get(("graph", "nodes", label, "optimizer")) for label in own}
    known = {
        label: as_plan(item)
        for label, item in resolved.items()
        if isinstance(item, Component | TorchUse | UsersOwn)
    }
    if len(known) < len(own):
        return None
    clips = {label: _clip(nodes[label].clip) for label in own}
    return {
        "optimizers": known,
        "clips": {label: clip for label, clip in clips.items() if clip is not None},
    }


def _optimizer(phase: PhaseScheduler) -> Component | TorchUse | UsersOwn | None:
    place = ("graph", "optimizer")
    if phase.context.spec.graph.optimizer is None and not phase.context.lost(place):
        message = "a train phase needs an optimizer: `graph` has none"
        hint = "such as `optimizer: {use: adam, lr: 1e-3}` in `graph`"
        # One optimizer is missing, however many phases train by it.
        phase.context.error_once("SP204", message, phase.path, hint=hint)
        return None
    optimizer = phase.resolved.get(place)
    return optimizer if isinstance(optimizer, Component | TorchUse | UsersOwn) else None


def _clip(clip: ClipSpec | None) -> Clip | None:
    """The limits, where there are some."""
    if clip is None or (clip.value is None and clip.norm is None):
        return None
    return Clip(value=clip.value, norm=clip.norm)
