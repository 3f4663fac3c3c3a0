"""What the phases of a plan read of each FeatureSet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.plan.model import Eval, Train
from specplan.plan.sampled import sampled_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from specplan.plan.model import Evaluation, Fold, Node, Phase


class ColumnsRead(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of one FeatureSet that nodes read, in the order in which they do.

    Attributes:
        finite: those in which no value may be NaN or infinite, because a torch node or a target reads them.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    finite: frozenset[str]

    @property
    def all(self) -> tuple[str, ...]:
        """Inputs and targets, each once."""
        return tuple(dict.fromkeys((*self.inputs, *self.targets)))


def columns_read(nodes: Mapping[str, Node]) -> dict[str, ColumnsRead]:
    """The columns that `nodes` read, by FeatureSet."""
    inputs: dict[str, dict[str, None]] = {}
    targets: dict[str, dict[str, None]] = {}
    finite: dict[str, set[str]] = {}
    for label, node in nodes.items():
        strict = "torch" in _readers(label, nodes)
        for read in node.inputs:
            if read.columns:
                name = read.value.partition(".")[0]
                inputs.setdefault(name, {}).update(dict.fromkeys(read.columns))
                finite.setdefault(name, set()).update(read.columns if strict else ())
        if node.target is not None:
            name = node.target.value.partition(".")[0]
            targets.setdefault(name, {}).update(dict.fromkeys(node.target.columns))
            finite.setdefault(name, set()).update(node.target.columns)
    return {
        name: ColumnsRead(
            inputs=tuple(inputs.get(name, ())),
            targets=tuple(targets.get(name, ())),
            finite=frozenset(finite[name]),
        )
        for name in finite
    }


def columns_judged(phases: Iterable[Phase]) -> dict[str, tuple[str, ...]]:
    """The columns that losses and metrics read themselves, by FeatureSet."""
    found: dict[str, dict[str, None]] = {}
    for phase in phases:
        between = phase.evaluations if isinstance(phase, Train) else ()
        for part in (phase, *between):
            for objective in (*part.losses, *part.metrics):
                for argument in objective.arguments:
                    owner, _, name = argument.column.partition(".")
                    if name:
                        found.setdefault(owner, {})[name] = None
    return {owner: tuple(columns) for owner, columns in found.items()}


def columns_sampled(phases: Iterable[Phase]) -> dict[str, tuple[str, ...]]:
    """The columns that samplers look at, by FeatureSet."""
    found: dict[str, dict[str, None]] = {}
    for phase in phases:
        for feed in phase.all_feeds if isinstance(phase, Train) else ():
            names = sampled_columns(feed.sampler.component)
            found.setdefault(feed.data, {}).update(dict.fromkeys(names))
    return {name: tuple(columns) for name, columns in found.items() if columns}


def _readers(label: str, nodes: Mapping[str, Node]) -> Iterator[str]:
    """The backends of the nodes that meet the inputs of a node as they are: a merge passes them on."""
    if nodes[label].backend != "merge":
        yield nodes[label].backend
        return
    for other, node in nodes.items():
        if any(not read.columns and read.value == label for read in node.inputs):
            yield from _readers(other, nodes)


def splits_read(
    phases: Iterable[Phase], folds: Mapping[str, Mapping[str, Fold]]
) -> dict[str, set[str | None]]:
    """The splits that phases read, by FeatureSet; None stands for all rows, and for a fold what it cuts."""
    found: dict[str, set[str | None]] = {}
    for phase in phases:
        for label, splits in _splits_of(phase).items():
            known, fold = folds.get(label, {}), None
            for each in phase.passes:
                fold = known.get(each.path, fold)
            for split in splits:
                found.setdefault(label, set()).update(_whole(split, fold, known))
    return found


def measured_parts(phases: Iterable[Phase]) -> Iterator[tuple[str, Phase | Evaluation]]:
    """Everything that computes losses and metrics, with the JSON pointer to it."""
    for index, phase in enumerate(phases):
        yield f"/phases/{index}", phase
        between = phase.evaluations if isinstance(phase, Train) else ()
        for position, evaluation in enumerate(between):
            yield f"/phases/{index}/evaluations/{position}", evaluation


def _splits_of(phase: Phase) -> dict[str, set[str | None]]:
    splits: dict[str, set[str | None]] = {phase.data: {phase.split}}
    if isinstance(phase, Eval):
        splits |= {label: {phase.split} for label in phase.joined}
    if isinstance(phase, Train):
        for feed in phase.feeds:
            splits.setdefault(feed.data, set()).add(feed.split)
        for evaluation in phase.evaluations:
            splits.setdefault(evaluation.data or phase.data, set()).add(evaluation.split)
    return splits


def _whole(split: str | None, fold: Fold | None, folds: Mapping[str, Fold]) -> Iterator[str | None]:
    """The splits that a phase inside a fold reads rows of."""
    if fold is None or split is None:
        yield split
        return
    outside = folds[fold.within] if fold.within is not None else None
    pooled = fold.of or (None,) if split in (fold.train.name, fold.val.name) else (split,)
    for other in pooled:
        yield from _whole(other, outside, folds)
