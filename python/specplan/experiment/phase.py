"""What all phases have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from specplan.data.context import active_context, checked_label
from specplan.experiment.binding import InputBinding
from specplan.experiment.drawing import draw_phase, show
from specplan.experiment.graph import ModelGraph
from specplan.experiment.loss import find_node
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.data.feature_set import FeatureSet
    from specplan.experiment.graph import ModelNode
    from specplan.experiment.loss import AppliedLoss


class Phase(ABC):
    """Abstract base of the phases.

    Attributes:
        kind: train, eval or fit, as a spec writes it.
        label: name of the phase; unique in its group.
        input_sources: one binding for each head node; all read the same rows.
        losses: the losses; their labels differ.
        active_nodes: labels of the nodes that take part; None for those that the losses need.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        label: str,
        input_sources: Sequence[InputBinding],
        losses: Sequence[AppliedLoss],
        active_nodes: Sequence[str | ModelNode] | None,
    ) -> None:
        self.label = checked_label(label)
        self.input_sources = list(input_sources)
        self.losses = list(losses)
        self.active_nodes = (
            None if active_nodes is None else [find_node(node).label for node in active_nodes]
        )
        self._check_sources()
        self._check_loss_labels()
        graphs = self.input_sources[0].node.context.members(ModelGraph)
        if graphs:
            self.check_graph(graphs[-1])

    @property
    def feature_set(self) -> FeatureSet:
        """What the phase reads."""
        return self.input_sources[0].feature_set

    @property
    def split(self) -> str | None:
        """The split that the phase reads; None for all rows."""
        return self.input_sources[0].split

    def check_graph(self, graph: ModelGraph) -> None:
        """Check that every head node of `graph` that takes part has a binding.

        Raises:
            ValueError: one has none.
        """
        bound = {binding.node.label for binding in self.input_sources}
        missing = [
            node.label for node in head_nodes(graph, self.active_nodes) if node.label not in bound
        ]
        if missing:
            raise ValueError(
                f"phase `{self.label}` has no input binding for the head node {quoted(missing)}; "
                f"it has bindings for {quoted(sorted(bound))}"
            )

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The phase as an entry of `plan` in a spec."""

    @abstractmethod
    def describe(self) -> str:
        """The phase in a few words."""

    def visualize(self) -> None:
        """Print the phase as a Mermaid flowchart."""
        show(draw_phase(self))

    def _common_spec(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "phase": self.kind,
            "label": self.label,
            "losses": [loss.label for loss in self.losses],
        }
        if self.split is not None:
            entry["split"] = self.split
        if self.active_nodes is not None:
            entry["active"] = self.active_nodes
        return entry

    def _check_sources(self) -> None:
        if not self.input_sources:
            raise ValueError(f"phase `{self.label}` needs at least one input binding")
        for binding in self.input_sources:
            if not isinstance(binding, InputBinding):
                raise TypeError(
                    f"phase `{self.label}`: an input source is an InputBinding, "
                    f"not {type(binding).__name__}"
                )
        first = self.input_sources[0]
        for other in self.input_sources[1:]:
            if other.feature_set is not first.feature_set or other.split != first.split:
                raise ValueError(
                    f"phase `{self.label}`: all bindings read one FeatureSet and one split; "
                    f"these are `{first.feature_set.label}` {first.split!r} and "
                    f"`{other.feature_set.label}` {other.split!r}"
                )

    def _check_loss_labels(self) -> None:
        labels = [loss.label for loss in self.losses]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(
                f"phase `{self.label}` has two losses {quoted(twice)}; give each its own `label`"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(label={self.label!r}, split={self.split!r})"


def head_nodes(graph: ModelGraph, active: Sequence[str] | None) -> list[ModelNode]:
    """The nodes of `graph` that read a FeatureSet and that the active ones need."""
    if active is None:
        return graph.head_nodes
    heads: dict[str, ModelNode] = {}
    for label in active:
        node = graph.nodes.get(label)
        while node is not None and not node.is_head:
            upstream = node.upstream_ref
            node = graph.nodes.get(upstream.label) if isinstance(upstream, type(node)) else None
        if node is not None:
            heads[node.label] = node
    return list(heads.values())


def split_heads(label: str, active: Sequence[str | ModelNode] | None) -> list[ModelNode]:
    """The active head nodes of the active context's graph, which read one FeatureSet.

    Raises:
        ValueError: there is no graph, or they read several FeatureSets.
    """
    graphs = active_context().members(ModelGraph)
    if not graphs:
        raise ValueError(
            f"phase `{label}`: the active context has no ModelGraph; make the graph first, "
            "or give the bindings yourself"
        )
    names = None if active is None else [find_node(node).label for node in active]
    heads = head_nodes(graphs[-1], names)
    read = list(dict.fromkeys(node.source.feature_set.label for node in heads))
    if len(read) > 1:
        raise ValueError(
            f"phase `{label}`: the head nodes read several FeatureSets, {quoted(read)}; "
            "from_split needs them to read one"
        )
    return heads


def evaluated_split(
    label: str, split: str, active: Sequence[str | ModelNode] | None
) -> list[InputBinding]:
    """A binding without a sampler for each of those head nodes."""
    return [InputBinding.for_evaluation(node, split=split) for node in split_heads(label, active)]
