"""The plan of a run that a program drives: it has no phases, as the program decides what is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from specplan.base.redaction import redacted, redacted_text
from specplan.plan.canonical import canonical, read_plan
from specplan.plan.model import Compiled, Experiment, Graph, Numerics, Plan
from specplan.results.status import read_run_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.store.layout import RunFolder


def empty_plan(experiment: str, description: str, tags: Mapping[str, str | None]) -> Compiled:
    """A plan that says what the run is called, and nothing more."""
    plan = Plan(
        id="",
        experiment=Experiment(
            id=experiment, description=redacted_text(description), tags=redacted(tags)
        ),
        numerics=Numerics(seed=0, threads=None, deterministic=False),
        data={},
        graph=Graph(nodes={}, order=()),
        phases=(),
    )
    return Compiled(plan=canonical(plan), folder=Path())


def is_of_plan(folder: RunFolder) -> bool:
    """Whether a run does what a plan says, which no program adds to.

    Raises:
        RunError: run.json is damaged.
        PlanError: the plan is.
    """
    return bool(read_run_file(folder).phases or read_plan(folder.plan_file).plan.phases)
