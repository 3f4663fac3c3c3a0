"""The callbacks of a phase, and those of them that are code of the user's or objects of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.plan.model import Callback
from specplan.plan.passes.own_component import LiveObject, OwnCode
from specplan.spec.model import TrainSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.passes.phase import PhaseScheduler
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import EvalSpec, FitSpec


def callbacks_of(
    phase: PhaseScheduler, spec: TrainSpec | EvalSpec | FitSpec
) -> Iterator[tuple[object | None, Path]]:
    """What was found under each entry, and its place; None for a faulty one."""
    for index in range(len(spec.callbacks)):
        path = (*phase.path, "callbacks", index)
        yield phase.resolved.get(path), path


def refuse_second(phase: PhaseScheduler, use: str, path: Path, first: Path | None) -> Path:
    """Report a callback of which a phase takes one, where there was a `first`; the place of the first."""
    if first is None:
        return path
    also = [((*first, "use"), "the first")]
    message = f"this phase has two callbacks {use}"
    hint = "keep one, with the arguments of both that do not contradict each other"
    phase.context.error("SP304", message, path, also=also, hint=hint)
    return first


def own_callbacks(
    phase: PhaseScheduler, spec: TrainSpec | EvalSpec | FitSpec
) -> tuple[Callback, ...]:
    """The callbacks of a phase that are not built in."""
    found: dict[str, Callback] = {}
    for component, path in callbacks_of(phase, spec):
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
