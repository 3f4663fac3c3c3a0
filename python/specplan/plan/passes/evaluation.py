"""Phases whose measurements say less than they seem to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from specplan.plan.passes.order import reachable
from specplan.spec.model import EvalSpec
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.plan.model import Node, Read
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.outline import Measured, Outline
    from specplan.plan.passes.phase import Parts
    from specplan.plan.passes.schedule import Schedule
    from specplan.spec.diagnostics import Path


def warn_of_evaluation(context: Context, parts: Parts, schedule: Schedule) -> set[str]:
    """Warn of rows that are learned from and measured, and of phases that tell nothing new.

    Returns the FeatureSets of which a phase reads rows that it should not.
    """
    misread: set[str] = set()
    for label, feature_set in parts.data.items():
        outlines = [outline for outline in schedule.outlines if outline.source == label]
        splits = tuple(feature_set.splits)
        if len(splits) > 1 and _measures_what_was_learned(context, outlines, splits):
            misread.add(label)
    _warn_of_repetition(context, schedule.outlines)
    _warn_of_given_answers(context, parts)
    return misread


def _measures_what_was_learned(
    context: Context, outlines: list[Outline], splits: tuple[str, ...]
) -> bool:
    learners = [outline for outline in outlines if outline.learning]
    measured = [(outline, item) for outline in outlines for item in outline.measured]
    for learner in learners:
        for outline, item in measured:
            if _taught(learner, item) and _reads_too_much(context, learner, outline, item):
                return True
    seen = [(outline, item, _teacher(learners, item)) for outline, item in measured]
    all_seen = all(teacher is not None for *_, teacher in seen)
    held_out = {learner.split for learner in learners} - {item.split for _, item in measured}
    for outline, item, teacher in seen:
        # What a phase measures on its own rows, and the score of a `train` split, is there to compare with.
        if teacher is None or item.split is None or teacher.path == outline.path:
            continue
        if all_seen or (held_out and "train" not in str(item.split)):
            message = f"split `{item.split}` measures what `{teacher.label}` learned from it"
            also = [((*teacher.path, "split"), "learned from here")]
            rest = quoted(name for name in splits if name != item.split)
            hint = f"measure another split: {rest}"
            context.warning("SP615", message, (*item.path, "split"), hint=hint, also=also)
            return True
    return False


def _reads_too_much(
    context: Context, learner: Outline, outline: Outline, measured: Measured
) -> bool:
    """Warn where all rows are read, of which some should only be measured, or only be learned from."""
    learned, judged = learner.split, measured.split
    if learned is None and judged is not None:
        message = (
            f"this phase learns from all rows, also from split `{judged}`, "
            "on which what it learned is measured"
        )
        also = [((*measured.path, "split"), "measured here")]
        hint = "say which rows to learn from, such as `split: train`"
        context.warning("SP615", message, learner.place, hint=hint, also=also)
        return True
    if learned is not None and judged is None and (outline.losses.labels or outline.metrics.labels):
        message = f"this phase measures all rows, also split `{learned}` that was learned from"
        also = [((*learner.path, "split"), "learned from here")]
        hint = "say which rows to measure, such as `split: test`"
        context.warning("SP615", message, outline.place, hint=hint, also=also)
        return True
    return False


def _teacher(learners: list[Outline], measured: Measured) -> Outline | None:
    """A phase that learned what is measured from the very rows on which it is."""
    for learner in learners:
        if learner.split == measured.split and _taught(learner, measured):
            return learner
    return None


def _taught(learner: Outline, measurement: Measured) -> bool:
    return not set(learner.learning).isdisjoint(measurement.nodes)


def _warn_of_repetition(context: Context, outlines: tuple[Outline, ...]) -> None:
    since: list[Outline] = []
    for outline in outlines:
        if outline.learning:
            since = []
        if not isinstance(outline.spec, EvalSpec):
            continue
        spec = outline.spec
        if spec.record == "none" and not spec.losses and not spec.metrics:
            message = "this phase measures nothing and records nothing"
            hint = "name `losses` or `metrics`"
            context.warning("SP616", message, outline.place, hint=hint)
            continue
        same = replace(spec, label="_")
        for before in since:
            if replace(before.spec, label="_") == same and before.path != outline.path:
                message = f"this phase repeats `{before.label}`: nothing learns between them"
                also = [(before.place, "the same phase")]
                context.warning("SP617", message, outline.place, also=also)
                break
        since.append(outline)


def _warn_of_given_answers(context: Context, parts: Parts) -> None:
    """Nodes that read what they learn to give: one of the targets, or one number among others.

    Whole rows are often learned from themselves, and from themselves with something beside.
    """
    nodes = parts.wired.nodes
    told: set[Path] = set()
    for label, node in nodes.items():
        target = node.target
        if target is None or len(target.columns) != 1 or not target.columns:
            continue
        (column,) = target.columns
        is_target = column in context.spec.data[target.feature_set].targets
        for other in reachable(parts.wired.upstream, [label]):
            for place, read in _reads(context, nodes, other):
                alone = read.columns == target.columns
                hidden = parts.data[target.feature_set].columns[column]
                leaks = is_target or (not alone and hidden is not None and not hidden.shape)
                if column not in read.columns or read.feature_set != target.feature_set:
                    continue
                if leaks and place not in told:
                    told.add(place)
                    who = "it" if label == other else f"{other} before it"
                    message = f"{label} learns to give `{target.value}`, and {who} reads that"
                    also = [(("graph", "nodes", label, "target"), "the target")]
                    context.warning("SP619", message, place, also=also)


def _reads(context: Context, nodes: Mapping[str, Node], label: str) -> Iterator[tuple[Path, Read]]:
    """What a node reads of FeatureSets, each with the place that says so."""
    if label not in nodes:
        return
    written = context.spec.graph.nodes[label].input
    path: Path = ("graph", "nodes", label, "input")
    for index, read in enumerate(nodes[label].inputs):
        if read.columns and isinstance(written, str):
            yield path, read
        elif read.columns and len(nodes[label].inputs) == len(written):
            yield (*path, index), read
        elif read.columns:
            for part, text in enumerate(written):
                column = text.partition(".")[2]
                one = tuple(name for name in read.columns if name == column)
                yield (*path, part), replace(read, columns=one or read.columns)
