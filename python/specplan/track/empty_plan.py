"""The plan of a run that a program drives: it has no phases, as the program decides what is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from specplan.base.redaction import redacted, redacted_text
from specplan.plan.canonical import canonical
from specplan.plan.model import Compiled, Experiment, Graph, Numerics, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping


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
