"""How data flows from a FeatureSet into a head node during a phase."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from specplan.data.context import checked_label
from specplan.data.feature_set import FeatureSet
from specplan.data.reference import FeatureSetReference
from specplan.objects.loss import find_node
from specplan.objects.node import label_of
from specplan.samplers import OwnSampler, Sampler
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from specplan.objects.node import GraphNode

DEFAULT_STREAM = "default"
Upstream = FeatureSet | FeatureSetReference | str


class InputBinding:
    """A head node, the FeatureSet and split that it reads, and for training the sampler.

    Make one with `for_training` or `for_evaluation`.
    """

    def __init__(
        self,
        node: GraphNode,
        feature_set: FeatureSet,
        split: str | None,
        sampler: Sampler | None,
        stream: str = DEFAULT_STREAM,
    ) -> None:
        self.node = node
        self.feature_set = feature_set
        self.split = split
        self.sampler = sampler
        self.stream = stream

    @classmethod
    def for_training(
        cls,
        node: str | GraphNode,
        sampler: Sampler | Callable[..., Any],
        upstream: Upstream | None = None,
        split: str | None = None,
        stream: str = DEFAULT_STREAM,
    ) -> InputBinding:
        """Bind a split, in batches that the sampler makes.

        Args:
            node: a node that reads a FeatureSet, or its label.
            sampler: makes the batches: one of the samplers, or a function of yours as `OwnSampler` takes it.
            upstream: the FeatureSet or its label; needed only where it is not the node's only one.
            split: label of a split; None for all rows.
            stream: bindings of one FeatureSet, split, sampler and stream are read together, in one order.

        Raises:
            TypeError: `sampler` is no sampler.
            ValueError: the node reads another node or another FeatureSet, also one of the same label,
                or there is no such split.
        """
        if isinstance(sampler, type) or not isinstance(sampler, Sampler | Callable):
            raise TypeError(
                f"sampler is a SimpleSampler or another sampler, or a function, not {type(sampler).__name__}"
            )
        made = sampler if isinstance(sampler, Sampler) else OwnSampler(sampler)
        return cls._bound(node, upstream, split, made, checked_label(stream))

    @classmethod
    def for_evaluation(
        cls,
        node: str | GraphNode,
        upstream: Upstream | None = None,
        split: str | None = None,
    ) -> InputBinding:
        """Bind a whole split.

        Args:
            node: a node that reads a FeatureSet, or its label.
            upstream: the FeatureSet or its label; needed only where it is not the node's only one.
            split: label of a split; None for all rows.

        Raises:
            ValueError: the node reads another node or another FeatureSet, also one of the same label,
                or there is no such split.
        """
        return cls._bound(node, upstream, split, None)

    @property
    def node_id(self) -> str:
        """Id of the node."""
        return self.node.id

    @classmethod
    def _bound(
        cls,
        node: str | GraphNode,
        upstream: Upstream | None,
        split: str | None,
        sampler: Sampler | None,
        stream: str = DEFAULT_STREAM,
    ) -> InputBinding:
        node = find_node(node)
        feature_set = _feature_set(node, upstream)
        feature_set.check_split(split)
        return cls(node, feature_set, split, sampler, stream)

    def spec(self) -> dict[str, Any]:
        """The binding as an entry of `inputs` in a spec."""
        split = {} if self.split is None else {"split": self.split}
        sampler = {} if self.sampler is None else {"sampler": dict(self.sampler.component)}
        stream = {} if self.stream == DEFAULT_STREAM else {"stream": self.stream}
        return {
            "node": self.node.label,
            "from": self.feature_set.label,
            **split,
            **sampler,
            **stream,
        }

    def reads_with(self, other: InputBinding) -> bool:
        """Whether both nodes read the same rows in every step."""
        same = (self.split, self.sampler, self.stream) == (other.split, other.sampler, other.stream)
        return self.feature_set is other.feature_set and same

    def __repr__(self) -> str:
        sampler = "" if self.sampler is None else f", sampler={self.sampler!r}"
        return (
            f"InputBinding(node={self.node.label!r}, upstream={self.feature_set.label!r}, "
            f"split={self.split!r}{sampler})"
        )


def _feature_set(node: GraphNode, upstream: Upstream | None) -> FeatureSet:
    read = [each for each in node.upstreams if isinstance(each, FeatureSetReference)]
    if not read:
        raise ValueError(
            f"node `{node.label}` reads node `{label_of(node.upstreams[0])}` and no FeatureSet; "
            "bind the head node before it"
        )
    if isinstance(upstream, FeatureSetReference):
        upstream = upstream.feature_set
    name = upstream.label if isinstance(upstream, FeatureSet) else upstream
    own = next((each for each in read if each.feature_set.label == name), read[0])
    others = {each.feature_set.label for each in read}
    if name is None and len(others) > 1:
        raise ValueError(
            f"node `{node.label}` reads several FeatureSets, {quoted(sorted(others))}; "
            "say which with `upstream`"
        )
    if name not in (None, own.feature_set.label):
        raise ValueError(
            f"node `{node.label}` reads FeatureSet `{own.feature_set.label}`, not `{name}`"
        )
    if isinstance(upstream, FeatureSet) and upstream is not own.feature_set:
        raise ValueError(
            f"node `{node.label}` reads an earlier FeatureSet `{name}`; make the node anew"
        )
    return own.feature_set
