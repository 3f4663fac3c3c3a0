"""What a spec defines and nothing uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.components.callback import Evaluation
from specplan.spec.model import TrainSpec
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Collection

    from specplan.plan.passes.context import Context
    from specplan.plan.passes.phase import Parts
    from specplan.plan.passes.schedule import Schedule
    from specplan.spec.diagnostics import Path

_CODE = "SP306"


def warn_of_unused(
    context: Context, parts: Parts, schedule: Schedule, *, misread: Collection[str]
) -> None:
    """Warn of all that could be taken out of a spec.

    `misread` are FeatureSets of which a phase reads another split than it should, as was said before:
    that is why one of theirs is not read.
    """
    _nodes(context, parts, schedule)
    _columns(context, parts)
    trains = any(isinstance(outline.spec, TrainSpec) for outline in schedule.outlines)
    # Without a train phase for nodes that need one, more is unused, and it was said why.
    if trains or not schedule.activity.models("torch", schedule.activity.used):
        _splits(context, parts, schedule, misread)
        _objectives(context, parts, schedule)
        _optimizer(context, trains=trains)
    for path in context.unused_parameters:
        message = f"nothing refers to the parameter `{path[1]}`"
        hint = f"`{{$: params.{path[1]}}}` stands for its value"
        context.warning(_CODE, message, path, hint=hint, key=True)


def _optimizer(context: Context, *, trains: bool) -> None:
    if context.spec.graph.optimizer is not None and not trains:
        message = "no phase trains, so nothing uses the optimizer"
        context.warning(_CODE, message, ("graph", "optimizer"), key=True)


def _nodes(context: Context, parts: Parts, schedule: Schedule) -> None:
    unused = [label for label in parts.wired.order if label not in schedule.activity.used]
    # A node that only such a node reads needs no word of its own.
    read = {before for label in unused for before in parts.wired.upstream[label]}
    for label in unused:
        if label not in read:
            message = f"node {label} is used by no phase"
            context.warning(_CODE, message, ("graph", "nodes", label), key=True)


def _columns(context: Context, parts: Parts) -> None:
    read = {
        (columns.feature_set, parts.data[columns.feature_set].stored(name))
        for reads in parts.wired.columns.values()
        for columns in reads
        for name in columns.columns
    }
    owners = {owner for owner, _ in read}
    for label, spec in context.spec.data.items():
        if label not in owners:
            message = f"no node reads FeatureSet {label}"
            context.warning(_CODE, message, ("data", label), key=True)
            continue
        for domain, columns in (("features", spec.features), ("targets", spec.targets)):
            unread = [column for column in columns if (label, column) not in read]
            if unread:
                place: Path = ("data", label, domain, columns.index(unread[0]))
                called = "column" if len(unread) == 1 else "columns"
                context.warning(_CODE, f"no node reads {called} {quoted(unread)} of {label}", place)


def _splits(context: Context, parts: Parts, schedule: Schedule, misread: Collection[str]) -> None:
    read: dict[str, set[str | None]] = {}
    for outline in schedule.outlines:
        if outline.source is not None:
            found = {outline.split, *(measured.split for measured in outline.measured)}
            read.setdefault(outline.source, set()).update(found)
        for label, split in outline.read:
            read.setdefault(label, set()).add(split)
    for label, found in read.items():
        found.update(schedule.pooled[label])
        found.update(scale.fit_on for scale in context.spec.data[label].scale)
        splits = parts.data[label].splits
        unread = [name for name in splits if name not in found]
        if not unread or label in misread:
            continue
        if len(unread) == len(splits):
            message = f"no phase reads a split of {label}, they all read every row"
            context.warning(_CODE, message, ("data", label, "splits"), key=True)
            continue
        message = f"no phase reads split {quoted(unread)} of {label}"
        written = context.spec.data[label].splits or {}
        shares = "ratios" if "ratios" in written else "splits"
        place = ("data", label, "splits", shares, unread[0])
        context.warning(_CODE, message, place, key=True)


def _objectives(context: Context, parts: Parts, schedule: Schedule) -> None:
    losses: set[str] = set()
    metrics: set[str] = set()
    for outline in schedule.outlines:
        losses.update(outline.losses.labels)
        metrics.update(outline.metrics.labels)
        for measured in outline.measured:
            callback = parts.resolved.get(measured.path)
            if isinstance(callback, Evaluation):
                losses.update(callback.losses or ())
                metrics.update(callback.metrics)
    for label in context.spec.losses:
        if label not in losses:
            message = f"no phase uses loss {label}"
            context.warning(_CODE, message, ("losses", label), key=True)
    for label in context.spec.metrics:
        if label not in metrics:
            message = f"no phase uses metric {label}"
            context.warning(_CODE, message, ("metrics", label), key=True)
