"""The learning rate of a train phase, set before each step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from specplan.errors import RunError
from specplan.run.hooks import PhaseHooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.plan.model import Component, LearningRate, Train
    from specplan.run.context import Context
    from specplan.run.program import Registers


def factor(rule: LearningRate, step: int, *, steps: int, epochs: int) -> float:
    """The factor of the learning rate in an update of a phase, which has `steps` of them in each of its `epochs`."""
    if step < rule.warmup:
        return (step + 1) / (rule.warmup + 1)
    way = (step - rule.warmup) / max(1, epochs * steps - 1 - rule.warmup)
    match rule.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 + (rule.final - 1.0) * way
        case "cosine":
            return rule.final + (1.0 - rule.final) * (1.0 + math.cos(math.pi * way)) / 2.0
        case "exponential":
            return rule.gamma ** (step // steps)
        case "step":
            return rule.gamma ** (step // steps // rule.every_n_epochs)


class Rates:
    """Sets the learning rate of every optimizer of a train phase."""

    def __init__(self, phase: Train, rule: LearningRate, context: Context) -> None:
        self._phase = phase
        self._rule = rule
        self._state = context.state
        self._scaled = False

    def hooks(self) -> PhaseHooks:
        """What the run calls."""
        return PhaseHooks(
            batch_started=(self._set,),
            ended=(self._ended,),
            failed=(lambda _: self._put_back(),),
        )

    def _set(self, epoch: int, batch: int, _registers: Registers) -> None:
        updates, epochs = self._phase.updates, self._phase.epochs
        update = epoch * updates + batch // self._phase.accumulate
        self._scale(factor(self._rule, update, steps=updates, epochs=epochs))
        self._scaled = True

    def _ended(self, _values: Mapping[str, float]) -> dict[str, float]:
        self._put_back()
        return {}

    def _put_back(self) -> None:
        # A phase that fails may never have had an optimizer.
        if self._scaled:
            self._scale(1.0)

    def _scale(self, by: float) -> None:
        phase = self._phase
        whole = phase.optimizer
        components = phase.optimizers.values() if whole is None else (whole,)
        for component, optimizer in zip(components, self._state.optimizers_for(phase), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = _rate(component) * by


def _rate(component: Component) -> float:
    rate = component.args.get("lr")
    if not isinstance(rate, float | int):
        raise RunError(
            f"optimizer `{component.use}` has no argument `lr`, which the callback learning_rate needs"
        )
    return float(rate)
