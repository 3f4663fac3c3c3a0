"""Nodes: what they compute with, and what they read."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.context import active_context, checked_label
from specplan.data.feature_set import FeatureSet
from specplan.data.reference import FeatureSetReference
from specplan.models import ScikitModelWrapper, wrap_model
from specplan.objects.accelerator import Accelerator, accelerator_of
from specplan.objects.optimizer import Optimizer

if TYPE_CHECKING:
    from specplan.data.context import ExperimentContext
    from specplan.models.wrap import Model
    from specplan.plan.model import Node
    from specplan.spec.model import ComponentSpec

Shape = tuple[int, ...]
Column = tuple[FeatureSet, str]


class GraphNode(ABC):
    """Abstract base of the nodes of a graph.

    Attributes:
        label: name of the node; unique in the context.
        id: of this object.
        compiled: the node as the plan of a built graph has it; None before.
        is_frozen: whether train phases leave the node as it is, unless they name it in `active_nodes`.
        accelerator: where the node computes; None for where its phase does.
    """

    accelerator: Accelerator | None = None

    def __init__(self, label: str) -> None:
        self.id = str(uuid.uuid4())
        self.compiled: Node | None = None
        self.is_frozen = False
        self.context = active_context()
        self.label = self.context.register("node", checked_label(label), self)

    @property
    @abstractmethod
    def upstreams(self) -> tuple[FeatureSetReference | GraphNode, ...]:
        """What the node reads, in order."""

    @abstractmethod
    def redirect(
        self,
        before: FeatureSetReference | GraphNode,
        after: tuple[FeatureSetReference | GraphNode, ...],
    ) -> None:
        """Read `after` in place of `before`.

        Raises:
            ValueError: a node that reads one value would read none or several.
        """

    @property
    @abstractmethod
    def targets(self) -> tuple[Column, ...]:
        """What the node is to give: columns, which are joined where they are several."""

    @abstractmethod
    def live_objects(self) -> dict[str, Any]:
        """What the spec of the node calls `live:NAME`, by name."""

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The node as an entry of `graph.nodes` in a spec."""

    @property
    def node_id(self) -> str:
        """Id of the node."""
        return self.id

    @property
    def node_label(self) -> str:
        """Label of the node: it is the reference to itself."""
        return self.label

    @property
    def is_head(self) -> bool:
        """Whether the node reads a FeatureSet, and no node."""
        return all(isinstance(read, FeatureSetReference) for read in self.upstreams)

    @property
    def reads_data(self) -> bool:
        """Whether the node reads a FeatureSet itself."""
        return any(isinstance(read, FeatureSetReference) for read in self.upstreams)

    @property
    def before(self) -> tuple[GraphNode, ...]:
        """The node and all that it reads, directly or through others, each once."""
        found: dict[str, GraphNode] = {self.id: self}
        for read in self.upstreams:
            if isinstance(read, GraphNode):
                found |= {node.id: node for node in read.before}
        return tuple(found.values())

    @property
    def sources(self) -> tuple[FeatureSetReference, ...]:
        """What this node and those before it read of FeatureSets, each once."""
        found: list[FeatureSetReference] = []
        for read in self.upstreams:
            found += [read] if isinstance(read, FeatureSetReference) else read.sources
        return tuple({id(read.feature_set): read for read in reversed(found)}.values())[::-1]

    @property
    def source(self) -> FeatureSetReference:
        """The columns that the node, or the first node before it, reads."""
        return self.sources[0]

    @property
    def is_built(self) -> bool:
        """Whether the shapes are known."""
        return self.compiled is not None

    @property
    def output_shape(self) -> Shape | None:
        """Shape of one output row; None before the graph is built."""
        return None if self.compiled is None else self.compiled.shape

    def get_upstream_refs(self) -> list[FeatureSetReference | GraphNode]:
        """What the node reads, in order."""
        return list(self.upstreams)

    def reference(self) -> GraphNode:
        """What another node reads this one by."""
        return self

    def resolve(self) -> GraphNode:
        """The node itself."""
        return self

    def freeze(self) -> None:
        """Let train phases leave the node as it is, unless they name it in `active_nodes`."""
        self.is_frozen = True

    def unfreeze(self) -> None:
        """Let train phases train the node again."""
        self.is_frozen = False


class ModelNode(GraphNode):
    """A model and what it reads.

    Args:
        label: name of the node; unique in the context.
        model: SequentialMLP, SequentialCNN, TemporalCNN or an unfitted scikit-learn estimator; a torch
            module, a class of such, or a wrapper of one of them. It is a description: two nodes made of one
            model have weights of their own. A torch module gets the weights of its node after every call.
        upstream_ref: `FeatureSet.reference(...)`, a FeatureSet for all of its columns, or another
            node, whose outputs are read and whose targets are kept.
        optimizer: trains this node alone, in a graph without an optimizer.
        accelerator: where the node computes; by default where its phase does.

    Raises:
        TypeError: the model is of another kind.
        ValueError: the label is taken.
    """

    def __init__(
        self,
        label: str,
        model: object,
        upstream_ref: FeatureSetReference | FeatureSet | GraphNode,
        optimizer: Optimizer | None = None,
        accelerator: Accelerator | str | None = None,
    ) -> None:
        self.model: Model = wrap_model(model)
        self.upstream_ref = checked_upstream(upstream_ref)
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer is an Optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.accelerator = accelerator_of(accelerator)
        super().__init__(label)

    @property
    def upstreams(self) -> tuple[FeatureSetReference | GraphNode, ...]:
        """The one value that the node reads."""
        return (self.upstream_ref,)

    def redirect(
        self,
        before: FeatureSetReference | GraphNode,
        after: tuple[FeatureSetReference | GraphNode, ...],
    ) -> None:
        """Read another value. Raises ValueError where it is not one."""
        if before is not self.upstream_ref:
            return
        if len(after) != 1:
            raise ValueError(
                f"node `{self.label}` reads one value and would read {len(after)}; put a ConcatNode between"
            )
        self.upstream_ref = after[0]

    @property
    def targets(self) -> tuple[Column, ...]:
        """Those of what it reads."""
        return targets_of(self.upstream_ref)

    @property
    def backend(self) -> str:
        """ "torch" or "sklearn"."""
        return self.model.backend

    @property
    def input_shape(self) -> Shape | None:
        """Shape of one input row; None before the graph is built."""
        return None if self.compiled is None else self.compiled.inputs[0].shape

    @property
    def component(self) -> ComponentSpec:
        """The model as a spec writes it; an object that no spec can say has the name of the node."""
        return self.model.component or {"use": f"live:{self.label}"}

    def spec(self) -> dict[str, Any]:
        """The node as an entry of `graph.nodes` in a spec."""
        section: dict[str, Any] = {
            "model": dict(self.component),
            "input": input_of(self.upstream_ref),
        }
        section |= target_section(self.targets)
        section |= self.model.node_section()
        if section.get("output_method") == "predict_proba":
            section["output_shape"] = [self._classes()]
        if self.optimizer is not None:
            section |= self.optimizer.section(f"{self.label}-optimizer")
        if self.is_frozen:
            section["frozen"] = True
        return section

    def _classes(self) -> int:
        """How many classes the target has, each of which gets a probability."""
        if len(self.targets) != 1:
            raise ValueError(
                f"node `{self.label}` needs one target, whose classes get a probability"
            )
        [(feature_set, name)] = self.targets
        return len(np.unique(feature_set.columns[name]))

    def live_objects(self) -> dict[str, Any]:
        """What the spec of the node calls `live:NAME`, by name."""
        found: dict[str, Any] = {}
        if not self.model.component:
            found[self.label] = self.model.bound()
        if self.optimizer is not None and self.optimizer.live is not None:
            found[f"{self.label}-optimizer"] = self.optimizer.live
        return found

    def __repr__(self) -> str:
        upstream = label_of(self.upstream_ref)
        return f"ModelNode(label={self.label!r}, model={self.model!r}, upstream={upstream!r})"


def learns_in_batches(node: GraphNode) -> bool:
    """Whether a node is an estimator that learns from the batches of a train phase."""
    model = node.model if isinstance(node, ModelNode) else None
    return isinstance(model, ScikitModelWrapper) and model.resolved_training_mode == "partial_fit"


def nodes_of(context: ExperimentContext) -> list[GraphNode]:
    """The nodes of a context, in the order of registration."""
    return context.members(GraphNode)  # type: ignore[type-abstract]


def checked_upstream(upstream: object) -> FeatureSetReference | GraphNode:
    """What a node can read. Raises TypeError for anything else."""
    if isinstance(upstream, FeatureSet):
        return upstream.reference()
    if isinstance(upstream, FeatureSetReference | GraphNode):
        return upstream
    raise TypeError(
        "upstream_ref is a FeatureSet.reference(...), a FeatureSet or a ModelNode, "
        f"not {type(upstream).__name__}"
    )


def label_of(upstream: FeatureSetReference | GraphNode) -> str:
    """Label of what a node reads."""
    if isinstance(upstream, FeatureSetReference):
        return upstream.feature_set.label
    return upstream.label


def targets_of(upstream: FeatureSetReference | GraphNode) -> tuple[Column, ...]:
    """The target columns that go with what a node reads."""
    if isinstance(upstream, FeatureSetReference):
        return tuple((upstream.feature_set, name) for name in upstream.targets)
    return upstream.targets


def input_of(upstream: FeatureSetReference | GraphNode) -> str | list[str]:
    """What a node reads, as a spec writes it."""
    if not isinstance(upstream, FeatureSetReference):
        return upstream.label
    columns = [f"{upstream.feature_set.label}.{name}" for name in upstream.features]
    return columns[0] if len(columns) == 1 else columns


def target_section(targets: tuple[Column, ...]) -> dict[str, Any]:
    """`target` of a node in a spec, where it has one."""
    columns = [f"{feature_set.label}.{name}" for feature_set, name in targets]
    if not columns:
        return {}
    return {"target": columns[0] if len(columns) == 1 else columns}
