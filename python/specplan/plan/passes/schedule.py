"""Pass: the phases in order, and what each of them does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.plan.passes.activity import Activity
from specplan.plan.passes.phase import PhaseScheduler
from specplan.spec.model import LONGEST_NAME, GroupSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.model import Phase
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.outline import Outline
    from specplan.plan.passes.phase import Parts
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import Entry, Spec


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The phases in order: all of them in outline, and those that are free of faults."""

    phases: tuple[Phase, ...]
    outlines: tuple[Outline, ...]
    activity: Activity


def schedule(context: Context, parts: Parts) -> Schedule:
    """Schedule every phase."""
    activity = Activity(context, parts.wired)
    if len(context.spec.experiment.id) > LONGEST_NAME:
        message = f"the id has {len(context.spec.experiment.id)} characters"
        context.error("SP207", message, ("experiment", "id"), hint=f"it may have {LONGEST_NAME}")
    places: dict[tuple[str, ...], Path] = {}
    built: list[Phase] = []
    outlines: list[Outline] = []
    for entry, path, labels in _entries(context.spec.plan, ("plan",), ()):
        key = "group" if isinstance(entry, GroupSpec) else "label"
        if labels in places:
            message = f"label `{labels[-1]}` is used twice in this group"
            also = [(places[labels], "first used here")]
            context.error("SP304", message, (*path, key), also=also)
        places.setdefault(labels, (*path, key))
        length = len(".".join(labels))
        if length > LONGEST_NAME:
            message = f"the labels of this phase and its groups have {length} characters"
            hint = f"together they may have {LONGEST_NAME}"
            context.error("SP207", message, (*path, key), hint=hint)
        if isinstance(entry, GroupSpec):
            if not entry.do and not context.damaged((*path, "do")):
                context.warning("SP618", f"group `{entry.group}` has no phases", (*path, "do"))
            continue
        scheduler = PhaseScheduler(context, parts, activity, entry, path, ".".join(labels))
        phase = scheduler.phase()
        outlines.append(scheduler.outline)
        if phase is not None:
            built.append(phase)
    if not phase_places(context.spec) and not context.damaged(("plan",)):
        context.error("SP204", "the plan has no phases", ("plan",))
    return Schedule(phases=tuple(built), outlines=tuple(outlines), activity=activity)


def phase_places(spec: Spec) -> list[Path]:
    """The path in the spec of every phase, in order."""
    return [
        path
        for entry, path, _ in _entries(spec.plan, ("plan",), ())
        if not isinstance(entry, GroupSpec)
    ]


def _entries(
    entries: tuple[Entry, ...], path: Path, around: tuple[str, ...]
) -> Iterator[tuple[Entry, Path, tuple[str, ...]]]:
    for index, entry in enumerate(entries):
        place = (*path, index)
        if isinstance(entry, GroupSpec):
            labels = (*around, entry.group)
            yield entry, place, labels
            yield from _entries(entry.do, (*place, "do"), labels)
        else:
            yield entry, place, (*around, entry.label)
