"""The nodes of a plan without a run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.plan.own_code import admit, admit_live
from specplan.plan.verify import verify
from specplan.run.numerics import in_force

if TYPE_CHECKING:
    from specplan.plan.model import Compiled
    from specplan.run.state import State


def build_nodes(compiled: Compiled, state: State, *, trust: bool = False) -> None:
    """Build the nodes of a plan that `state` has not got yet, as a run of the plan would begin with.

    Raises:
        CodeError: code of the user that the plan names is missing, changed or not trusted.
        PlanError: the plan does not hold together, or names what this installation lacks.
        RunError: a node of that name is there, and was built from another description.
    """
    from specplan.run.builder import Builder

    verify(compiled.plan)
    admit_live(compiled, fresh=False)
    state.builder = Builder(admit(compiled, trust=trust), compiled.live)
    with in_force(compiled.plan.numerics):
        state.add_nodes(compiled.plan)
