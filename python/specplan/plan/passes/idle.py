"""Pass: arguments of components that nothing reads, because of what another argument says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import fields

from specplan.components.callback import LearningRate
from specplan.components.merge import Concat
from specplan.components.sampler import Simple
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.components.component import Component
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context

_OF_SCHEDULES = {
    "final": ("linear", "cosine"),
    "gamma": ("exponential", "step", "multi_step"),
    "every_n_epochs": ("step",),
    "milestones": ("multi_step",),
    "pct_start": ("one_cycle",),
    "div_factor": ("one_cycle",),
    "final_div_factor": ("one_cycle",),
    "anneal_strategy": ("one_cycle",),
}
"""The schedules of a learning rate that read an argument."""


def warn_of_idle_arguments(context: Context, resolved: Resolved) -> None:
    """Warn of arguments that are not what they are by default, and change nothing."""
    for path, component in resolved.items():
        if not isinstance(component, LearningRate | Concat | Simple):
            continue
        usual = {field.name: field.default for field in fields(component)}
        for name, message, hint in _idle(component):
            if getattr(component, name) != usual[name]:
                context.warning("SP671", message, (*path, name), hint=hint, key=True)


def _idle(component: Component) -> Iterator[tuple[str, str, str]]:
    """Each argument that is not read, why, and what would read it."""
    match component:
        case LearningRate(schedule=schedule):
            for name, schedules in _OF_SCHEDULES.items():
                if schedule not in schedules:
                    yield (
                        name,
                        f"`{schedule}` does not read `{name}`",
                        f"it is for {quoted(schedules)}",
                    )
            if not component.cycle_momentum:
                for name in ("base_momentum", "max_momentum"):
                    yield name, *_without(name, "cycle_momentum: true")
        case Concat(pad=False):
            for name in ("pad_mode", "pad_value"):
                yield name, *_without(name, "pad: true")
        case Simple(stratify_by=()):
            yield "strict_stratification", *_without("strict_stratification", "stratify_by")


def _without(name: str, other: str) -> tuple[str, str]:
    return f"`{name}` changes nothing without `{other}`", f"add `{other}`, or leave it out"
