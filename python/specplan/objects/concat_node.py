"""Nodes that join what several others give."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from specplan.objects.node import (
    GraphNode,
    checked_upstream,
    input_of,
    label_of,
    target_section,
    targets_of,
)
from specplan.spec.arguments import checked_int, checked_list, written
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.data.feature_set import FeatureSet
    from specplan.data.reference import FeatureSetReference
    from specplan.objects.node import Column

Shape = tuple[int, ...]


class MergeStrategy(enum.StrEnum):
    """Whose targets a node has that reads several values."""

    FIRST = "first"
    LAST = "last"
    MEAN = "mean"


Strategy = int | MergeStrategy | GraphNode


class ConcatNode(GraphNode):
    """Joins rows along one axis.

    Args:
        label: name of the node; unique in the context.
        upstream_refs: at least two nodes, FeatureSets or references.
        concat_axis: axis of a row, the batch axis not counted; negative from the end.
        concat_axis_targets: which targets the node has: those of all it reads, joined along the last axis
            (-1); of the "first" or "last" that has some; of one of the nodes; or their "mean", which all
            have to agree in.
        concat_axis_tags: the same for tags, which nothing in a graph reads.
        pad_inputs: whether rows are padded at their ends to the largest size on every other axis.
        pad_mode: "constant", "reflect", "replicate" or "circular".
        pad_value: what is padded with, of the mode "constant".

    Raises:
        TypeError: an argument is of another type.
        ValueError: less than two values, an unknown mode or strategy, or a label that is taken.
    """

    def __init__(
        self,
        label: str,
        upstream_refs: Sequence[FeatureSetReference | FeatureSet | GraphNode],
        concat_axis: int = 0,
        *,
        concat_axis_targets: int | str | GraphNode = -1,
        concat_axis_tags: int | str | GraphNode = -1,
        pad_inputs: bool = False,
        pad_mode: str = "constant",
        pad_value: float = 0.0,
    ) -> None:
        reads = [checked_upstream(read) for read in checked_list("upstream_refs", upstream_refs)]
        if len(reads) < 2:
            raise ValueError(f"ConcatNode `{label}` joins at least two values, not {len(reads)}")
        self.upstream_refs = reads
        self.concat_axis = checked_int("concat_axis", concat_axis)
        self.target_strategy = strategy_of("concat_axis_targets", concat_axis_targets, reads)
        self.tags_strategy = strategy_of("concat_axis_tags", concat_axis_tags, reads)
        self.component = written(
            "merge",
            "concat",
            {"axis": self.concat_axis}
            | ({"pad": True, "pad_mode": pad_mode, "pad_value": pad_value} if pad_inputs else {}),
        )
        super().__init__(label)

    @property
    def upstreams(self) -> tuple[FeatureSetReference | GraphNode, ...]:
        """The values that are joined, in order."""
        return tuple(self.upstream_refs)

    def redirect(
        self,
        before: FeatureSetReference | GraphNode,
        after: tuple[FeatureSetReference | GraphNode, ...],
    ) -> None:
        """Read other values in place of one. Raises ValueError where none is left."""
        new = [x for read in self.upstream_refs for x in (after if read is before else (read,))]
        if not new:
            raise ValueError(f"ConcatNode `{self.label}` would read nothing")
        self.upstream_refs = new
        if self.target_strategy is before and after and isinstance(after[0], GraphNode):
            self.target_strategy = after[0]

    @property
    def targets(self) -> tuple[Column, ...]:
        """The target columns that the strategy takes.

        Raises:
            ValueError: the mean of different columns is asked for, or an axis that is not the last.
        """
        found = [targets for targets in map(targets_of, self.upstream_refs) if targets]
        match self.target_strategy:
            case GraphNode():
                return self.target_strategy.targets
            case MergeStrategy.FIRST:
                return found[0] if found else ()
            case MergeStrategy.LAST:
                return found[-1] if found else ()
            case MergeStrategy.MEAN:
                if any(targets != found[0] for targets in found):
                    raise ValueError(
                        f"ConcatNode `{self.label}`: the targets to take the mean of are different columns; "
                        'take those of one input, as in concat_axis_targets="first"'
                    )
                return found[0] if found else ()
        columns = tuple(column for targets in found for column in targets)
        for feature_set, name in columns:
            last = feature_set.columns[name.partition(".")[0]].ndim - 2
            if len(columns) > 1 and self.target_strategy not in (-1, last):
                raise ValueError(
                    f"ConcatNode `{self.label}`: targets are joined along their last axis, "
                    f"not {self.target_strategy}"
                )
        return columns

    @property
    def target_axis(self) -> int:
        """The axis along which targets are joined. Raises TypeError where they are chosen otherwise."""
        return _axis("target_axis", self.target_strategy)

    @property
    def tags_axis(self) -> int:
        """The axis along which tags would be joined. Raises TypeError where they are chosen otherwise."""
        return _axis("tags_axis", self.tags_strategy)

    @property
    def backend(self) -> str | None:
        """None: joining is nobody's."""
        return None

    @property
    def input_shapes(self) -> dict[FeatureSetReference | GraphNode, Shape]:
        """Shape of one row of each value that is joined; empty before the graph is built."""
        if self.compiled is None:
            return {}
        shapes = [read.shape for read in self.compiled.inputs]
        return dict(zip(self.upstream_refs, shapes, strict=False))

    def spec(self) -> dict[str, Any]:
        """The node as an entry of `graph.nodes` in a spec."""
        reads: list[str] = []
        for upstream in self.upstream_refs:
            read = input_of(upstream)
            reads += [read] if isinstance(read, str) else read
        return {"merge": dict(self.component), "input": reads, **target_section(self.targets)}

    def live_objects(self) -> dict[str, Any]:
        """Nothing: a spec can say all of it."""
        return {}

    def __repr__(self) -> str:
        reads = [label_of(read) for read in self.upstream_refs]
        return (
            f"ConcatNode(label={self.label!r}, upstreams={reads}, concat_axis={self.concat_axis})"
        )


def strategy_of(
    what: str, value: int | str | GraphNode, reads: Sequence[FeatureSetReference | GraphNode]
) -> Strategy:
    """The strategy that an argument means.

    Raises:
        TypeError: it is neither an axis, a word nor a node.
        ValueError: it is a node that is not among `reads`, or another word.
    """
    if isinstance(value, GraphNode):
        if not any(value is read for read in reads):
            raise ValueError(
                f"{what} is node `{value.label}`, which is not among the upstream_refs"
            )
        return value
    if isinstance(value, str):
        try:
            return MergeStrategy(value)
        except ValueError:
            raise ValueError(f"{what} is an axis, a node, or {quoted(MergeStrategy)}") from None
    return checked_int(what, value)


def _axis(what: str, strategy: Strategy) -> int:
    if isinstance(strategy, int):
        return strategy
    raise TypeError(f"there is no {what}: the strategy is {strategy}")
