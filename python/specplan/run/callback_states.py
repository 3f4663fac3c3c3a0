"""What callbacks of a program keep for a run that goes on in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RunError
from specplan.run.dispatch import state_of
from specplan.run.state_values import copied
from specplan.store.run_file import PhaseTiming  # noqa: TC001 -- msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.plan.model import Plan
    from specplan.run.callback import Callback
    from specplan.run.hooks import Hooks
    from specplan.run.state import State


class Start(msgspec.Struct, frozen=True):
    """Where a run is gone on with.

    Attributes:
        commit: number of the last record before it.
        phases: of run.json.
        callbacks: what those of the program keep, or why that cannot be said.
    """

    commit: int
    phases: tuple[PhaseTiming, ...]
    callbacks: dict[str, Any] | RunError


class CallbackStates:
    """The states of the callbacks that are objects of the program, and of its hooks around phases."""

    def __init__(self, plan: Plan, state: State, hooks: Hooks) -> None:
        self._plan = plan
        self._state = state
        self._hooks = hooks

    def taken(self) -> dict[str, Any] | RunError:
        """What they keep now, apart from what they do next.

        Why a `state_dict` failed is for whoever stores it: most of what is taken never is.
        """
        try:
            live = {name: state_of(each) for name, each in self._live().items()}
            program = {
                name: state for states in self._hooks.states for name, state in states().items()
            }
        except RunError as error:
            return error
        return {"live_callbacks": copied(live), "program": copied(program)}

    def give_back(self, values: Mapping[str, Any]) -> None:
        """Bring them to what was taken; checkpoints of earlier versions may lack some of it."""
        for name, state in values.get("live_callbacks", {}).items():
            if state is not None:
                self._live()[name].load_state_dict(state)
        for resumed in self._hooks.resumed:
            resumed(values.get("program", {}))

    def _live(self) -> dict[str, Callback]:
        """Callbacks of the program by name: one object serves in every phase that has it."""
        return {
            each.component.use: self._state.builder.callback(each)
            for phase in self._plan.phases
            for each in phase.callbacks
            if each.component.live is not None
        }
