"""The learning rate of a train phase: what a schedule makes of it, and what a metric that stays does to it."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from specplan.errors import RunError
from specplan.run.hooks import PhaseHooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from specplan.plan.model import Component, LearningRate, Plateau, Train
    from specplan.run.context import Context
    from specplan.run.program import Registers

_STATE = "reduce on plateau"
"""What its state is called beside those of callbacks, whose labels have no spaces."""


def rate_of(rule: LearningRate, rate: float, step: int, *, steps: int, epochs: int) -> float:
    """What becomes of a rate in an update of a phase, which has `steps` of them in each of its `epochs`."""
    if rule.schedule == "one_cycle":
        return _in_cycle(rule, rate, step, epochs * steps)
    return rate * factor(rule, step, steps=steps, epochs=epochs)


def factor(rule: LearningRate, step: int, *, steps: int, epochs: int) -> float:
    """The same as a factor; one_cycle has none that gives its rates bit for bit."""
    if step < rule.warmup:
        return (step + 1) / (rule.warmup + 1)
    way = (step - rule.warmup) / max(1, epochs * steps - 1 - rule.warmup)
    match rule.schedule:
        case "linear":
            return 1.0 + (rule.final - 1.0) * way
        case "cosine":
            return rule.final + (1.0 - rule.final) * (1.0 + math.cos(math.pi * way)) / 2.0
        case "exponential":
            return rule.gamma ** (step // steps)
        case "step":
            return rule.gamma ** (step // steps // rule.every_n_epochs)
        case "multi_step":
            return rule.gamma ** bisect_right(sorted(rule.milestones), step // steps)
    return 1.0


def momentum_of(rule: LearningRate, step: int, *, steps: int, epochs: int) -> float:
    """The momentum in an update of a phase whose momentum goes in one cycle."""
    low, high = rule.base_momentum, rule.max_momentum
    return _cycled(rule, (high, low, high), step, epochs * steps)


def _in_cycle(rule: LearningRate, highest: float, step: int, total: int) -> float:
    first = highest / rule.div_factor
    return _cycled(rule, (first, highest, first / rule.final_div_factor), step, total)


def _cycled(rule: LearningRate, ends: tuple[float, float, float], step: int, total: int) -> float:
    """A value that goes from the first of three to the second, then to the third."""
    first, middle, last = ends
    top = rule.pct_start * total - 1
    if step <= top:
        return _between(rule, first, middle, step / top if top else 1.0)
    return _between(rule, middle, last, (step - top) / (total - 1 - top))


def _between(rule: LearningRate, start: float, end: float, way: float) -> float:
    if rule.anneal_strategy == "linear":
        return (end - start) * way + start
    return end + (start - end) / 2.0 * (math.cos(math.pi * way) + 1)


class Rates:
    """Sets the learning rate of every optimizer of a train phase.

    Attributes:
        rates: of each optimizer, without the schedule; None until the first step.
        plateau: changes them; None where nothing does.
    """

    def __init__(self, phase: Train, context: Context) -> None:
        self._phase = phase
        self._rule = rule = phase.learning_rate
        self._cycles_momentum = (
            rule is not None and rule.schedule == "one_cycle" and rule.cycle_momentum
        )
        self._state = context.state
        self.rates: list[float] | None = None
        self.plateau = None if phase.plateau is None else OnPlateau(phase.plateau, self)

    def hooks(self) -> PhaseHooks:
        """What the run calls."""
        return PhaseHooks(
            batch_started=(self._set,),
            ended=(self._ended,),
            failed=(self._failed,),
        )

    def begin(self) -> list[float]:
        """The rates, which at first are those of the optimizers."""
        if self.rates is None:
            self.rates = [_rate(component) for component in self._components()]
        return self.rates

    def _components(self) -> list[Component]:
        phase = self._phase
        return list(phase.optimizers.values()) if phase.optimizer is None else [phase.optimizer]

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        return self._state.optimizers_for(self._phase)

    def _set(self, epoch: int, batch: int, _registers: Registers) -> None:
        phase, rule, rates = self._phase, self._rule, self.begin()
        if rule is not None:
            update = epoch * phase.updates + batch // phase.accumulate
            rates = [
                rate_of(rule, rate, update, steps=phase.updates, epochs=phase.epochs)
                for rate in rates
            ]
            if self._cycles_momentum:
                momentum = momentum_of(rule, update, steps=phase.updates, epochs=phase.epochs)
                for optimizer in self._optimizers():
                    _put_momentum(optimizer, momentum)
        self._put(rates)

    def _ended(self, _values: Mapping[str, float]) -> dict[str, float]:
        self._put_back()
        return {}

    def _failed(self, _error: BaseException) -> None:
        # A phase that fails may never have had an optimizer.
        if self.rates is not None:
            self._put_back()

    def _put_back(self) -> None:
        """Also where a run goes on behind the last step, so that nothing was set by this process."""
        self._put([_rate(component) for component in self._components()])
        for optimizer in self._optimizers() if self._cycles_momentum else ():
            _put_momentum(optimizer, None)

    def _put(self, rates: list[float]) -> None:
        for rate, optimizer in zip(rates, self._optimizers(), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate


class OnPlateau:
    """Follows one metric from epoch to epoch, as torch's ReduceLROnPlateau does."""

    def __init__(self, rule: Plateau, rates: Rates) -> None:
        self._rule = rule
        self._rates = rates
        self._best = math.inf if rule.mode == "min" else -math.inf
        self._bad_epochs = 0
        self._cooling = 0

    def hooks(self) -> PhaseHooks:
        """What the run calls."""
        return PhaseHooks(
            epoch_ended=(self._saw,), states=(self._values,), resumed=(self._restore,)
        )

    def _saw(self, _epoch: int, values: Mapping[str, float]) -> dict[str, float]:
        rule = self._rule
        value = values.get(rule.monitor)
        if value is None:
            return {}
        if self._is_better(value):
            self._best = value
            self._bad_epochs = 0
        else:
            self._bad_epochs += 1
        if self._cooling > 0:
            self._cooling -= 1
            self._bad_epochs = 0
        if self._bad_epochs > rule.patience:
            self._reduce()
            self._cooling = rule.cooldown
            self._bad_epochs = 0
        return {}

    def _is_better(self, value: float) -> bool:
        rule = self._rule
        lower = rule.mode == "min"
        if rule.threshold_mode == "rel":
            return (
                value < self._best * (1.0 - rule.threshold)
                if lower
                else value > self._best * (rule.threshold + 1.0)
            )
        if lower:
            return value < self._best - rule.threshold
        return value > self._best + rule.threshold

    def _reduce(self) -> None:
        rule, rates = self._rule, self._rates.begin()
        for index, rate in enumerate(rates):
            lower = max(rate * rule.factor, rule.min_lr)
            if rate - lower > rule.eps:
                rates[index] = lower

    def _values(self) -> dict[str, dict[str, Any] | None]:
        values = {"best": self._best, "bad_epochs": self._bad_epochs, "cooling": self._cooling}
        return {_STATE: {**values, "rates": self._rates.begin()}}

    def _restore(self, states: Mapping[str, dict[str, Any] | None]) -> None:
        state = states.get(_STATE)
        if state is None:
            return
        self._best = state["best"]
        self._bad_epochs = state["bad_epochs"]
        self._cooling = state["cooling"]
        self._rates.rates = list(state["rates"])


def _rate(component: Component) -> float:
    rate = component.args.get("lr")
    if not isinstance(rate, float | int):
        raise RunError(
            f"optimizer `{component.use}` has no argument `lr`, which a change of the learning rate needs"
        )
    return float(rate)


def _put_momentum(optimizer: torch.optim.Optimizer, momentum: float | None) -> None:
    """Give an optimizer another momentum, or first beta; for None the one that it was made with."""
    defaults = optimizer.defaults
    if "betas" in defaults:
        first, *rest = defaults["betas"]
        changes: dict[str, Any] = {"betas": (first if momentum is None else momentum, *rest)}
    elif "momentum" in defaults:
        changes = {"momentum": defaults["momentum"] if momentum is None else momentum}
    else:
        raise RunError(
            f"optimizer `{type(optimizer).__name__}` has neither momentum nor betas, which "
            "`cycle_momentum` would change"
        )
    for group in optimizer.param_groups:
        group.update(changes)
