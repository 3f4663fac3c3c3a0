"""What one call of an experiment runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from specplan.objects.group_results import PhaseGroupResults, group_results_of
from specplan.objects.phase import Phase
from specplan.objects.phase_group import PhaseGroup, entries_by_path, entries_spec
from specplan.objects.phase_results import PhaseResults, results_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from specplan.results.open import Run

Results = TypeVar("Results", PhaseResults, PhaseGroupResults)


class Call(NamedTuple, Generic[Results]):
    """What one call runs.

    Attributes:
        phases: all of them, in order; `entries` are the spec of them.
        by_path: the phases and groups by the path that they have in the plan.
        results_of: what the call returns, read from its run.
        whole: whether it is the execution plan.
    """

    label: str
    phases: Sequence[Phase]
    entries: list[dict[str, Any]]
    by_path: Mapping[str, Phase | PhaseGroup]
    results_of: Callable[[Run], Results]
    whole: bool = False


def call_of_phase(method: str, phase: Phase) -> Call[PhaseResults]:
    """The call `method` of one phase. Raises TypeError where it is none."""
    if not isinstance(phase, Phase):
        raise TypeError(f"{method} takes a phase, not {type(phase).__name__}")
    return Call(
        phase.label,
        [phase],
        [phase.spec()],
        {phase.label: phase},
        lambda run: results_of(run, phase.label),
    )


def call_of_group(method: str, group: PhaseGroup) -> Call[PhaseGroupResults]:
    """The call `method` of a group. Raises TypeError where it is none."""
    if not isinstance(group, PhaseGroup):
        raise TypeError(f"{method} takes a PhaseGroup, not {type(group).__name__}")
    prefix = f"{group.label}."
    return Call(
        group.label,
        group.flatten(),
        [group.spec()],
        {group.label: group, **entries_by_path(group, prefix)},
        lambda run: group_results_of(run, group.label, prefix),
    )


def call_of_folds(group: PhaseGroup, folds: Mapping[str, Any]) -> Call[PhaseGroupResults]:
    """The call of a group for each of some folds."""
    prefix = f"{group.label}."
    paths: dict[str, Phase | PhaseGroup] = {group.label: group}
    for fold in range(folds["n"]):
        paths[f"{prefix}fold_{fold}"] = group
        paths |= entries_by_path(group, f"{prefix}fold_{fold}.")
    return Call(
        group.label,
        group.flatten(),
        [{**group.spec(), "for_each": dict(folds)}],
        paths,
        lambda run: group_results_of(run, group.label, prefix),
    )


def call_of_plan(plan: PhaseGroup) -> Call[PhaseGroupResults]:
    """The call of the whole execution plan."""
    return Call(
        plan.label,
        plan.flatten(),
        entries_spec(plan),
        entries_by_path(plan),
        lambda run: group_results_of(run, plan.label),
        whole=True,
    )
