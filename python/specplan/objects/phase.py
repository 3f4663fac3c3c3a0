"""What all phases have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, cast, get_args

from specplan.data.context import active_context, checked_label
from specplan.objects.binding import InputBinding
from specplan.objects.drawing import draw_phase
from specplan.objects.graph import ModelGraph
from specplan.objects.loss import AppliedLoss, find_node
from specplan.objects.phase_callback import check_callback, label_of, live_name, spec_of_callback
from specplan.run.callback import Callback
from specplan.spec.arguments import checked_list
from specplan.spec.model import RecordNodes
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.base.drawing import Drawing
    from specplan.data.feature_set import FeatureSet
    from specplan.objects.accelerator import Accelerator
    from specplan.objects.node import GraphNode
    from specplan.objects.phase_callback import PhaseCallback


class Phase(ABC):
    """Abstract base of the phases.

    Attributes:
        kind: train, eval or fit, as a spec writes it.
        label: name of the phase; unique in its group.
        input_sources: one binding for each head node.
        losses: the losses; their labels differ.
        active_nodes: labels of the nodes that take part; None for those that the losses need.
        record_nodes: "all" where the outputs of all nodes that compute are recorded, "judged" where only
            those of nodes with losses are, and in an eval phase of those that no node reads.
        accelerator: where nodes compute that do not say it themselves; None for the processor.
    """

    kind: ClassVar[str]
    record_nodes: RecordNodes = "judged"
    accelerator: Accelerator | None = None
    built_in: ClassVar[tuple[type, ...]] = ()
    """Classes of callbacks of this kind of phase that are no `Callback`."""

    def __init__(
        self,
        label: str,
        input_sources: Sequence[InputBinding],
        losses: Sequence[AppliedLoss],
        active_nodes: Sequence[str | GraphNode] | None,
        callbacks: Sequence[PhaseCallback] | None,
    ) -> None:
        self.label = checked_label(label)
        self.input_sources = checked_list(f"phase `{label}`: input_sources", input_sources)
        self.losses = checked_list(f"phase `{label}`: losses", losses)
        self.active_nodes = active_labels(label, active_nodes)
        self._check_sources()
        self._check_loss_labels()
        self._callbacks: list[PhaseCallback] = []
        for callback in checked_list(f"phase `{label}`: callbacks", callbacks or ()):
            self.add_callback(callback)
        graphs = self.input_sources[0].node.context.members(ModelGraph)
        if graphs:
            self.check_graph(graphs[-1])

    @property
    def feature_set(self) -> FeatureSet:
        """What the phase reads; of several what the first binding does."""
        return self.input_sources[0].feature_set

    @property
    def split(self) -> str | None:
        """The split that the phase reads; None for all rows."""
        return self.input_sources[0].split

    @property
    def callbacks(self) -> list[PhaseCallback]:
        """What happens inside the phase, in the order in which it was added."""
        return list(self._callbacks)

    def add_callback(self, callback: PhaseCallback) -> None:
        """Have something happen inside the phase.

        Raises:
            TypeError: it is no callback, or one of its hooks wants what it cannot be given.
            ValueError: the phase has a callback of that label, or it has a value that is not allowed.
        """
        if not isinstance(callback, (Callback, *self.built_in)):
            known = quoted(each.__name__ for each in (Callback, *self.built_in))
            raise TypeError(
                f"phase `{self.label}`: a callback is {known}, not {type(callback).__name__}"
            )
        check_callback(callback)
        label = label_of(callback)
        if any(label_of(other) == label for other in self._callbacks):
            raise ValueError(
                f"phase `{self.label}` has two callbacks `{label}`; give one another `label`"
            )
        self._callbacks.append(callback)

    @property
    def live_callbacks(self) -> dict[str, Callback]:
        """The callbacks that are objects of the program, by the names that a spec gives them."""
        return {
            live_name(self.label, callback): callback
            for callback in self._callbacks
            if isinstance(callback, Callback)
        }

    def check_graph(self, graph: ModelGraph) -> None:
        """Check that every head node of `graph` that takes part has a binding to what it reads.

        Raises:
            ValueError: one has none, or one to a FeatureSet that another one has replaced.
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
        for binding in self.input_sources:
            node = graph.nodes.get(binding.node.label)
            if node is not None and node.source.feature_set is not binding.feature_set:
                raise ValueError(
                    f"phase `{self.label}` reads another FeatureSet `{binding.feature_set.label}` than "
                    f"node `{node.label}` of ModelGraph `{graph.label}`; make the phase anew"
                )

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The phase as an entry of `plan` in a spec."""

    def describe(self) -> str:
        """The phase in a few words."""
        return self.label if self.label == self.kind else f"{self.kind} {self.label}"

    def visualize(self) -> Drawing:
        """The phase as a picture."""
        return draw_phase(self).shown()

    def to_mermaid(self) -> str:
        """The phase as a Mermaid flowchart."""
        return draw_phase(self).to_mermaid()

    def to_svg(self) -> str:
        """The phase as an SVG element."""
        return draw_phase(self).to_svg()

    def _common_spec(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "phase": self.kind,
            "label": self.label,
            "losses": [loss.label for loss in self.losses],
        }
        together = self.input_sources[0].reads_with
        if self.split is not None and all(map(together, self.input_sources)):
            entry["split"] = self.split
        if self.active_nodes is not None:
            entry["active"] = self.active_nodes
        if self.record_nodes != "judged":
            entry["record_nodes"] = self.record_nodes
        if self._callbacks:
            entry["callbacks"] = [spec_of_callback(self.label, each) for each in self._callbacks]
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
        labels = [binding.node.label for binding in self.input_sources]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"phase `{self.label}` has two bindings of {quoted(twice)}")
        self._check_sources_agree()

    def _check_sources_agree(self) -> None:
        first = self.input_sources[0]
        for other in self.input_sources[1:]:
            if other.feature_set is not first.feature_set or other.split != first.split:
                raise ValueError(
                    f"phase `{self.label}`: all bindings read one FeatureSet and one split; "
                    f"these are `{first.feature_set.label}` {first.split!r} and "
                    f"`{other.feature_set.label}` {other.split!r}"
                )

    def _check_loss_labels(self) -> None:
        for loss in self.losses:
            if not isinstance(loss, AppliedLoss):
                raise TypeError(
                    f"phase `{self.label}`: a loss is an AppliedLoss, not {type(loss).__name__}"
                )
        labels = [loss.label for loss in self.losses]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(
                f"phase `{self.label}` has two losses {quoted(twice)}; give each its own `label`"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(label={self.label!r}, split={self.split!r})"


def head_nodes(graph: ModelGraph, active: Sequence[str] | None) -> list[GraphNode]:
    """The nodes of `graph` that read a FeatureSet and that the active ones need."""
    reading = [node for node in graph.nodes.values() if node.reads_data]
    if active is None:
        return reading
    below = {
        node.id for label in active if label in graph.nodes for node in graph.nodes[label].before
    }
    return [node for node in reading if node.id in below]


def checked_record_nodes(label: str, record_nodes: str) -> RecordNodes:
    """`record_nodes` of a phase.

    Raises:
        ValueError: it is no such value.
    """
    known = get_args(RecordNodes)
    if record_nodes not in known:
        raise ValueError(f"phase `{label}`: record_nodes is {quoted(known)}, not {record_nodes!r}")
    return cast("RecordNodes", record_nodes)


def active_labels(label: str, active: Sequence[str | GraphNode] | None) -> list[str] | None:
    """Labels of the active nodes of a phase; None for those that its losses need.

    Raises:
        TypeError: `active` is no list.
        ValueError: it is empty, or names a node that there is not.
    """
    if active is None:
        return None
    nodes = checked_list(f"phase `{label}`: active_nodes", active)
    if not nodes:
        raise ValueError(f"phase `{label}`: active_nodes names at least one node")
    return [find_node(node).label for node in nodes]


def split_heads(label: str, active: Sequence[str | GraphNode] | None) -> list[GraphNode]:
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
    heads = head_nodes(graphs[-1], active_labels(label, active))
    read = list(dict.fromkeys(node.source.feature_set.label for node in heads))
    if len(read) > 1:
        raise ValueError(
            f"phase `{label}`: the head nodes read several FeatureSets, {quoted(read)}; "
            "from_split needs them to read one"
        )
    return heads


class PhaseOptions(TypedDict, total=False):
    """What every phase takes by keyword."""

    active_nodes: Sequence[str | GraphNode] | None
    callbacks: Sequence[PhaseCallback] | None
    accelerator: Accelerator | str | None


def evaluated_split(
    label: str, split: str, active: Sequence[str | GraphNode] | None
) -> list[InputBinding]:
    """A binding without a sampler for each of those head nodes."""
    return [InputBinding.for_evaluation(node, split=split) for node in split_heads(label, active)]
