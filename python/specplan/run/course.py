"""Which phases of a plan are run, and with which state each pass over a group begins."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from specplan.plan.model import Train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from specplan.plan.model import Guard, Pass, Phase, Plan
    from specplan.run.state import Snapshot, State

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


class Course:
    """Follows the phases of a plan, which must be begun and ended in order, skipped ones too.

    Attributes:
        kept: the states with which the open groups began, by path.
        values: what the phases that were run have measured, as they left it.
    """

    def __init__(self, plan: Plan, state: State) -> None:
        self._plan = plan
        self._state = state
        self.kept: dict[str, Snapshot] = {}
        self.values: dict[str, Mapping[str, float]] = {}

    def restore(
        self, kept: Mapping[str, Snapshot], values: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Be where another course was when it had these."""
        self.kept = dict(kept)
        self.values = dict(values)

    def begin(self, position: int) -> str | None:
        """Make the state that with which the phase begins; returns why it is skipped, if it is."""
        phase = self._plan.phases[position]
        before = self._plan.phases[position - 1].passes if position else ()
        for each in phase.passes:
            if each not in before and each.kind != "pass":
                self._begin_pass(each)
        for guard in phase.guards:
            if reason := self._refusal(guard):
                return reason
        return None

    def measured(self, phase: Phase, values: Mapping[str, float]) -> None:
        """What a phase that was run has measured, as it left it."""
        self.values[phase.path] = values

    def end(self, position: int) -> None:
        """Put back the state with which a group began where the phase was the last of all passes."""
        phases = self._plan.phases
        after = phases[position + 1].passes if position + 1 < len(phases) else ()
        going_on = {each.group for each in after}
        for each in reversed(phases[position].passes):
            if each.group not in going_on and each.kind != "pass":
                self._state.go_back(self.kept.pop(each.group))

    def _begin_pass(self, each: Pass) -> None:
        if each.group in self.kept:
            self._state.go_back(self.kept[each.group])
        else:
            self.kept[each.group] = self._state.capture()
        if each.seed is not None:
            self._state.renew(self._plan, self._trained_in(each), each.seed)

    def _trained_in(self, one: Pass) -> list[str]:
        """The torch nodes that the group of a pass trains, in the order of the graph."""
        trained = {
            label
            for phase in self._plan.phases
            if isinstance(phase, Train) and one in phase.passes
            for label in phase.trainable
        }
        return [label for label in self._plan.graph.order if label in trained]

    def _refusal(self, guard: Guard) -> str | None:
        """Why a guard keeps a phase from being run, in words; None where it does not."""
        ran = [path for path in guard.phases if path in self.values]
        if not ran:
            return f"{guard.phases[-1]} was skipped"
        value = self.values[ran[-1]].get(guard.metric, math.nan)
        if COMPARISONS[guard.op](value, guard.value) == guard.holds:
            return None
        no = "not " if guard.holds else ""
        return f"{guard.metric} of {ran[-1]} is {value:.6g}, {no}{guard.op} {guard.value:g}"
