"""Nodes, the graph that they make, and the optimizer that trains them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from specplan.components import COMPONENTS
from specplan.data.context import active_context, checked_label
from specplan.data.feature_set import FeatureSet
from specplan.data.reference import FeatureSetReference
from specplan.experiment.drawing import draw_graph, show
from specplan.models.sklearn.instance import component_of, is_estimator
from specplan.models.torch import SequentialCNN, SequentialMLP
from specplan.models.torch.wrapper import TorchModelWrapper, is_module, is_module_class
from specplan.spec.arguments import checked_list, written
from specplan.spec.wording import choices, quoted, with_article

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specplan.plan.model import Graph
    from specplan.spec.model import ComponentSpec


class ModelNode:
    """A model and what it reads.

    Args:
        label: name of the node; unique in the context.
        model: SequentialMLP, SequentialCNN or an unfitted scikit-learn estimator; a torch module, a class
            of such or a TorchModelWrapper. It is a description: two nodes made of one model have
            weights of their own. A torch module gets the weights of its node after every call.
        upstream_ref: `FeatureSet.reference(...)`, a FeatureSet for all of its columns, or another
            node, whose outputs are read and whose target is kept.

    Raises:
        TypeError: the model is of another kind.
        ValueError: the label is taken, or the reference has more than one target.
    """

    def __init__(
        self,
        label: str,
        model: object,
        upstream_ref: FeatureSetReference | FeatureSet | ModelNode,
    ) -> None:
        self.model = model
        self.is_live = _is_live(model)
        self.component = {} if self.is_live else _component(model)
        if isinstance(upstream_ref, FeatureSet):
            upstream_ref = upstream_ref.reference()
        self.upstream_ref = _checked_upstream(label, upstream_ref)
        self.id = str(uuid.uuid4())
        self.context = active_context()
        self.label = self.context.register("node", checked_label(label), self)

    @property
    def is_head(self) -> bool:
        """Whether the node reads a FeatureSet."""
        return isinstance(self.upstream_ref, FeatureSetReference)

    @property
    def source(self) -> FeatureSetReference:
        """The columns that the node, or the first node before it, reads."""
        if isinstance(self.upstream_ref, FeatureSetReference):
            return self.upstream_ref
        return self.upstream_ref.source

    def __repr__(self) -> str:
        upstream = self.source.feature_set if self.is_head else self.upstream_ref
        assert isinstance(upstream, FeatureSet | ModelNode)
        return f"ModelNode(label={self.label!r}, model={self.model!r}, upstream={upstream.label!r})"


class Optimizer:
    """The optimizer of a graph, with the defaults of `torch.optim`.

    Args:
        opt: adam, adamw, sgd or rmsprop, in any case.
        opt_kwargs: its arguments.
        backend: "torch".

    Raises:
        TypeError: the optimizer has no such argument.
        ValueError: no backend, an unknown optimizer or backend, or a value that is not allowed.
    """

    def __init__(
        self,
        opt: str,
        *,
        opt_kwargs: Mapping[str, Any] | None = None,
        backend: str | None = None,
    ) -> None:
        check_backend("Optimizer", opt, backend)
        known = COMPONENTS["optimizer"]
        if opt.lower() not in known:
            raise ValueError(f"there is no optimizer `{opt}`; known: {choices(opt, known)}")
        self.component = written("optimizer", opt.lower(), opt_kwargs or {})
        self.backend = backend

    def __repr__(self) -> str:
        arguments = {key: value for key, value in self.component.items() if key != "use"}
        return f"Optimizer({self.component['use']!r}, opt_kwargs={arguments}, backend='torch')"


class ModelGraph:
    """The nodes of an experiment and their optimizer.

    Args:
        label: name of the graph.
        nodes: the nodes, in any order; every node that another one reads is among them.
        optimizer: trains the torch nodes; a graph of fitted nodes needs none.

    Raises:
        TypeError: a node is no ModelNode, or the optimizer no Optimizer.
        ValueError: there are no nodes, two have one label, one reads a node that is not here, two
            different FeatureSets have one label, or the context has a graph already and its policy
            is "raise".
    """

    def __init__(
        self,
        label: str = "model-graph",
        *,
        nodes: Sequence[ModelNode],
        optimizer: Optimizer | None = None,
    ) -> None:
        self.label = checked_label(label)
        nodes = checked_list("nodes", nodes)
        _check_nodes(label, nodes)
        self.nodes = {node.label: node for node in nodes}
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise TypeError(
                'optimizer is an Optimizer, as in Optimizer("adam", backend="torch"), '
                f"not {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self.compiled: Graph | None = None
        self.context = active_context()
        others = self.context.members(ModelGraph)
        if others and self.context.registration_policy == "raise":
            raise ValueError(
                f"the context has the ModelGraph `{others[-1].label}` already; make the Experiment with "
                'registration_policy="overwrite" to replace it'
            )
        self.label = self.context.register("graph", self.label, self)

    @property
    def head_nodes(self) -> list[ModelNode]:
        """The nodes that read a FeatureSet."""
        return [node for node in self.nodes.values() if node.is_head]

    @property
    def tail_nodes(self) -> list[ModelNode]:
        """The nodes that no other node reads."""
        read = {id(node.upstream_ref) for node in self.nodes.values()}
        return [node for node in self.nodes.values() if id(node) not in read]

    @property
    def is_built(self) -> bool:
        """Whether the shapes are known."""
        return self.compiled is not None

    def build(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 -- as documented
        """Find the shapes of all nodes. Weights are made by the first run, from its seed.

        Args:
            force: do it again although it is done.

        Raises:
            SpecError: the shapes do not fit together.
            ValueError: a model was made for rows of another shape.
        """
        if self.is_built and not force:
            return
        from specplan.experiment.mapping import compile_graph

        self.compiled = compile_graph(self)
        for label, node in self.nodes.items():
            if isinstance(node.model, SequentialMLP | SequentialCNN):
                built = self.compiled.nodes[label]
                node.model.build(built.inputs[0].shape, built.shape)

    def visualize(self) -> None:
        """Print the graph as a Mermaid flowchart; a built graph shows the shapes on its edges."""
        show(draw_graph(self))

    def __repr__(self) -> str:
        built = "built" if self.is_built else "not built"
        return f"ModelGraph(label={self.label!r}, nodes={list(self.nodes)}, {built})"


def check_backend(what: str, name: object, backend: str | None) -> None:
    """Raise TypeError unless `name` is a string, and ValueError unless it has the backend "torch"."""
    if not isinstance(name, str):
        raise TypeError(
            f'{what}: name it by a str, as in {what}("...", backend="torch"); '
            f"{with_article(type(name).__name__)} is not taken in this version"
        )
    if backend is None:
        raise ValueError(f'{what} {name!r} needs a backend: {what}({name!r}, backend="torch")')
    if backend != "torch":
        raise ValueError(f'{what} {name!r}: the backend is "torch", not {backend!r}')


def _component(model: object) -> ComponentSpec:
    if isinstance(model, SequentialMLP | SequentialCNN):
        return dict(model.component)
    if is_estimator(model):
        return component_of(model)
    raise TypeError(
        "model is a SequentialMLP, a SequentialCNN, a torch module or a scikit-learn estimator, "
        f"not {type(model).__name__}"
    )


def _is_live(model: object) -> bool:
    """Whether a spec cannot say what the model is."""
    return is_module(model) or is_module_class(model) or isinstance(model, TorchModelWrapper)


def _checked_upstream(
    label: str, upstream: FeatureSetReference | ModelNode
) -> FeatureSetReference | ModelNode:
    if isinstance(upstream, ModelNode):
        return upstream
    if not isinstance(upstream, FeatureSetReference):
        raise TypeError(
            "upstream_ref is a FeatureSet.reference(...), a FeatureSet or a ModelNode, "
            f"not {type(upstream).__name__}"
        )
    if len(upstream.targets) > 1:
        raise ValueError(
            f"node `{label}` can have one target, and its reference has {quoted(upstream.targets)}; "
            f'name one, as in reference(targets="{upstream.targets[0]}")'
        )
    return upstream


def _check_nodes(label: str, nodes: Sequence[ModelNode]) -> None:
    if not nodes:
        raise ValueError(f"ModelGraph `{label}` needs at least one node")
    for node in nodes:
        if not isinstance(node, ModelNode):
            raise TypeError(f"the nodes of a graph are ModelNodes, not {type(node).__name__}")
    labels = [node.label for node in nodes]
    read: dict[str, FeatureSet] = {}
    for node in nodes:
        if labels.count(node.label) > 1:
            raise ValueError(f"ModelGraph `{label}` has two nodes `{node.label}`")
        feature_set = node.source.feature_set
        if read.setdefault(feature_set.label, feature_set) is not feature_set:
            raise ValueError(
                f"two different FeatureSets of ModelGraph `{label}` are called `{feature_set.label}`; "
                f"make node `{node.label}` anew if one replaced the other"
            )
        upstream = node.upstream_ref
        if isinstance(upstream, ModelNode) and not any(upstream is other for other in nodes):
            raise ValueError(
                f"node `{node.label}` reads node `{upstream.label}`, which is not in "
                f"ModelGraph `{label}`; its nodes are {quoted(labels)}"
            )
