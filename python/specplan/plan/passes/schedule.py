"""Pass: the phases in order, and what each of them does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.plan.passes.activity import Activity
from specplan.plan.passes.calls import call
from specplan.plan.passes.phase import PhaseScheduler
from specplan.plan.passes.unroll import Unrolling
from specplan.spec.model import LONGEST_NAME, CallSpec, GroupSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.model import Fold, Phase
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.outline import Outline
    from specplan.plan.passes.phase import Parts
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import Entry


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The phases of every pass in order.

    Attributes:
        phases: those that are free of faults; `places` are their paths in the spec.
        outlines: all of them, of passes that are alike only the first.
        folds: what the splits are in the passes of a cross-validation, by FeatureSet and pass.
        pooled: splits that are cut into folds, by FeatureSet; None for all rows.
        fold_places: of each group that is run for folds, by its path, where the spec says so.
    """

    phases: tuple[Phase, ...]
    places: tuple[Path, ...]
    outlines: tuple[Outline, ...]
    activity: Activity
    folds: dict[str, dict[str, Fold]]
    pooled: dict[str, set[str | None]]
    fold_places: dict[str, Path]


def schedule(context: Context, parts: Parts) -> Schedule:
    """Schedule every phase of every pass."""
    activity = Activity(context, parts.resolved, parts.wired)
    if len(context.spec.experiment.id) > LONGEST_NAME:
        message = f"the id has {len(context.spec.experiment.id)} characters"
        context.error("SP207", message, ("experiment", "id"), hint=f"it may have {LONGEST_NAME}")
    _check_labels(context)
    unrolling = Unrolling(context, parts.resolved, parts.data, activity)
    built: list[tuple[Phase, Path]] = []
    outlines: list[Outline] = []
    known = len(context.diagnostics)
    for step in unrolling.steps():
        if len(step.path) > LONGEST_NAME and step.passes:
            _refuse_length(context, step.path, (*step.place, "label"))
        phase: Phase | None
        if isinstance(step.spec, CallSpec):
            phase = call(context, step.spec, step)
        else:
            scheduler = PhaseScheduler(context, parts, activity, step, step.spec, unrolling.folds)
            phase = scheduler.phase()
            if not step.alike:
                outlines.append(scheduler.outline)
        unrolling.scheduled(step, phase)
        if phase is not None:
            built.append((phase, step.place))
        if step.again:
            context.forget_again(known)
        known = len(context.diagnostics)
    return Schedule(
        phases=tuple(phase for phase, _ in built),
        places=tuple(place for _, place in built),
        outlines=tuple(outlines),
        activity=activity,
        folds=unrolling.folds,
        pooled=unrolling.pooled,
        fold_places=unrolling.fold_places,
    )


def _check_labels(context: Context) -> None:
    places: dict[tuple[str, ...], Path] = {}
    entries = list(_entries(context.spec.plan, ("plan",), ()))
    for entry, path, labels in entries:
        key = "group" if isinstance(entry, GroupSpec) else "label"
        if labels in places:
            message = f"label `{labels[-1]}` is used twice in this group"
            also = [(places[labels], "first used here")]
            hint = f"give one of them another `{key}`, such as `{labels[-1]}_2`"
            context.error("SP304", message, (*path, key), also=also, hint=hint)
        places.setdefault(labels, (*path, key))
        if len(".".join(labels)) > LONGEST_NAME:
            _refuse_length(context, ".".join(labels), (*path, key))
        if isinstance(entry, GroupSpec) and not entry.do and not context.damaged((*path, "do")):
            context.warning("SP618", f"group `{entry.group}` has no phases", (*path, "do"))
    if all(isinstance(entry, GroupSpec) for entry, _, _ in entries) and not context.damaged(
        ("plan",)
    ):
        losses = f"losses: [{next(iter(context.spec.losses), 'mse')}]"
        hint = f"such as `- {{phase: eval, label: test, {losses}}}`"
        context.error("SP204", "the plan has no phases", ("plan",), hint=hint)
    computing = [entry for entry, _, _ in entries if not isinstance(entry, GroupSpec | CallSpec)]
    if computing and not context.spec.graph.nodes and not context.damaged(("graph",)):
        message = f"the graph has no nodes, and the phase `{computing[0].label}` computes some"
        hint = "such as `Net: {model: {use: mlp}, input: FEATURE_SET.COLUMN, target: FEATURE_SET.COLUMN}`"
        context.error("SP204", message, ("graph", "nodes"), hint=hint)


def _refuse_length(context: Context, path: str, place: Path) -> None:
    message = f"the labels of this phase and its groups have {len(path)} characters"
    hint = f"together they may have {LONGEST_NAME}"
    context.error("SP207", message, place, hint=hint)


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
