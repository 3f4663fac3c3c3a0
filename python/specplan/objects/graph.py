"""The graph that nodes make, and the optimizer that trains them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from specplan.data.context import active_context, checked_label
from specplan.models import TorchModelWrapper
from specplan.models.torch.sequential import Sequential
from specplan.objects.drawing import draw_graph
from specplan.objects.graph_edit import connected, inserted, replaced
from specplan.objects.node import GraphNode, ModelNode, nodes_of
from specplan.objects.node_map import NodeMap
from specplan.objects.optimizer import Optimizer
from specplan.spec.arguments import checked_list
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from specplan.base.drawing import Drawing
    from specplan.data.feature_set import FeatureSet
    from specplan.plan.model import Graph


class ModelGraph:
    """The nodes of an experiment and their optimizer.

    With an optimizer a train phase makes one step over all torch nodes that it trains. Without one every
    node is trained by its own optimizer, and no gradient passes from one such node to another.

    Args:
        label: name of the graph.
        nodes: the nodes or their labels, in any order; None for all of the context. Every node that another
            one reads is among them.
        optimizer: trains the torch nodes; a graph of fitted nodes needs none.

    Attributes:
        nodes: the nodes by label, in the order in which they were given; an id finds one, too.
        compiled: the graph as a plan has it; None until it is built, and after every change.
        restored: weights, estimators and optimizer of the file that it was loaded from, as a checkpoint:
            an experiment goes on with them; None for a graph that the program made.

    Raises:
        TypeError: a node is no node, or the optimizer no Optimizer.
        ValueError: there are no nodes, two have one label, one reads a node that is not here, nodes form
            a cycle, two different FeatureSets have one label, or the context has a graph already and its
            policy is "raise".
    """

    def __init__(
        self,
        label: str = "model-graph",
        nodes: Sequence[GraphNode | str] | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        self.label = checked_label(label)
        self.context = active_context()
        if nodes is None:
            nodes = nodes_of(self.context)
        found = [self._found(node) for node in checked_list("nodes", nodes)]
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise TypeError(
                'optimizer is an Optimizer, as in Optimizer("adam", backend="torch"), '
                f"not {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self.compiled: Graph | None = None
        self.restored: bytes | None = None
        self._take(found)
        if optimizer is not None:
            self._drop_own_optimizers()
        others = self.context.members(ModelGraph)
        if others and self.context.registration_policy == "raise":
            raise ValueError(
                f"the context has the ModelGraph `{others[-1].label}` already; make the Experiment with "
                'registration_policy="overwrite" to replace it'
            )
        self.label = self.context.register("graph", self.label, self)

    @property
    def node_labels(self) -> set[str]:
        """The labels of the nodes."""
        return set(self.nodes)

    @property
    def backend(self) -> str | None:
        """The backend of the optimizer of the graph; None without one."""
        return None if self.optimizer is None else self.optimizer.backend

    @property
    def head_nodes(self) -> NodeMap:
        """The nodes that read a FeatureSet, and no node."""
        return NodeMap(node for node in self.nodes.values() if node.is_head)

    @property
    def tail_nodes(self) -> NodeMap:
        """The nodes that no other node reads."""
        read = {id(each) for node in self.nodes.values() for each in node.upstreams}
        return NodeMap(node for node in self.nodes.values() if id(node) not in read)

    @property
    def frozen_nodes(self) -> NodeMap:
        """The nodes that train phases leave as they are, unless they name them."""
        return NodeMap(node for node in self.nodes.values() if node.is_frozen)

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
        from specplan.objects.mapping import compile_graph

        self.compiled = compile_graph(self)
        for label, node in self.nodes.items():
            node.compiled = self.compiled.nodes[label]
            if not isinstance(node, ModelNode):
                continue
            reads, gives = node.compiled.inputs[0].shape, node.compiled.shape
            if isinstance(node.model, Sequential):
                node.model.build(reads, gives)
            elif isinstance(node.model, TorchModelWrapper):
                node.model.input_shape, node.model.output_shape = reads, gives

    def freeze(self, nodes: Sequence[GraphNode | str] | None = None) -> None:
        """Let train phases leave nodes as they are, all by default, unless they name them in `active_nodes`.

        Raises:
            ValueError: a node is not in the graph.
        """
        for node in self._chosen(nodes):
            node.freeze()

    def unfreeze(self, nodes: Sequence[GraphNode | str] | None = None) -> None:
        """Let train phases train nodes again, all by default.

        Raises:
            ValueError: a node is not in the graph.
        """
        for node in self._chosen(nodes):
            node.unfreeze()

    def add_node(self, node: GraphNode) -> ModelGraph:
        """Add a node, which reads FeatureSets or nodes of the graph.

        Raises:
            TypeError: it is no node.
            ValueError: the graph has one of its label, or it reads what is not in the graph.
        """
        if getattr(node, "label", None) in self.nodes:
            raise ValueError(f"ModelGraph `{self.label}` has a node `{node.label}` already")
        return self._take([*self.nodes.values(), node])

    def remove_node(self, node: GraphNode | str) -> ModelGraph:
        """Remove a node; those that read it read what it read.

        Raises:
            ValueError: it is not in the graph, or a node that reads one value would read several.
        """
        gone = self._of_graph(node)
        rest = [each for each in self.nodes.values() if each is not gone]
        return self._take(connected(rest, gone, gone.upstreams))

    def replace_node(self, old_node: GraphNode | str, new_node: GraphNode) -> ModelGraph:
        """Put a node in the place of another: it reads what that read, and is read by whoever read that.

        Raises:
            TypeError: the new one is no node.
            ValueError: the old one is not in the graph, or the new one cannot read as much.
        """
        return self._take(replaced(list(self.nodes.values()), self._of_graph(old_node), new_node))

    def insert_node_between(
        self, new_node: GraphNode, upstream: GraphNode | str, downstream: GraphNode | str
    ) -> ModelGraph:
        """Let a new node read `upstream`, and `downstream` read the new node in its place.

        Raises:
            ValueError: one of them is not in the graph, or `downstream` does not read `upstream`.
        """
        before, after = self._of_graph(upstream), self._of_graph(downstream)
        if not any(read is before for read in after.upstreams):
            raise ValueError(f"node `{after.label}` does not read node `{before.label}`")
        return self._take(inserted(list(self.nodes.values()), new_node, (before,), after))

    def insert_node_before(self, new_node: GraphNode, downstream: GraphNode | str) -> ModelGraph:
        """Let a new node read all that `downstream` reads, and `downstream` read only the new node.

        Raises:
            ValueError: `downstream` is not in the graph, or the new node cannot read as much.
        """
        after = self._of_graph(downstream)
        return self._take(inserted(list(self.nodes.values()), new_node, after.upstreams, after))

    def insert_node_after(self, new_node: GraphNode, upstream: GraphNode | str) -> ModelGraph:
        """Let a new node read `upstream`, beside the nodes that read it already.

        Raises:
            ValueError: `upstream` is not in the graph.
        """
        before = self._of_graph(upstream)
        return self._take(inserted(list(self.nodes.values()), new_node, (before,), None))

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = False) -> Path:  # noqa: FBT001, FBT002 -- as documented
        """Write nodes, weights, estimators and optimizer to `<filepath>.mg.mml`; returns its path.

        The state is that of the experiment of its context. FeatureSets are named, and not in the file.

        Raises:
            FileExistsError: it is there already, and is not to be overwritten.
            ValueError: an object of the program cannot be stored without pickle; and why.
            RunError: a fitted estimator cannot.
        """
        from specplan.objects.graph_file import save_graph

        return save_graph(self, filepath, overwrite=overwrite)

    @classmethod
    def load(
        cls,
        filepath: str | os.PathLike[str],
        featuresets: Sequence[FeatureSet] | None = None,
        allow_packaged_code: bool = False,  # noqa: FBT001, FBT002 -- as documented
        overwrite: bool = False,  # noqa: FBT001, FBT002 -- as documented
    ) -> ModelGraph:
        """Read what `save` wrote, and register it in the active context. Nothing in the file is run.

        Args:
            filepath: the file.
            featuresets: what the graph reads, where the active context has them not.
            allow_packaged_code: whether modules that the file names may be imported; otherwise only
                classes of modules that the program has imported are used.
            overwrite: whether it takes the place of a graph and of nodes with its labels.

        Raises:
            FileNotFoundError: there is no such file.
            ArchiveError: it is damaged, unsafe or no graph, or needs code that is not imported.
            ValueError: a FeatureSet is missing or has not the columns that the graph reads, or a label
                is taken.
        """
        from specplan.objects.graph_file import load_graph

        return load_graph(
            filepath, featuresets or (), allow_import=allow_packaged_code, overwrite=overwrite
        )

    def save_checkpoint(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = False,  # noqa: FBT001, FBT002 -- as documented
        meta: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the state of the graph alone to `<filepath>.ckpt.mml`; returns its path.

        That is weights, estimators, optimizer and generators of the experiment of its context.

        Args:
            filepath: where.
            overwrite: whether a file that is there is replaced.
            meta: plain values to keep with it.

        Raises:
            FileExistsError: it is there already, and is not to be overwritten.
            RunError: a node or the optimizer holds what cannot be stored without pickle.
        """
        from specplan.objects.graph_file import save_graph_checkpoint

        return save_graph_checkpoint(self, filepath, overwrite=overwrite, meta=meta)

    def restore_checkpoint(self, filepath: str | os.PathLike[str]) -> None:
        """Go back to a checkpoint of the graph, or of an experiment with such a graph; history and callbacks stay.

        Raises:
            FileNotFoundError: there is no such file.
            ArchiveError, StoreError: it is damaged, or no checkpoint.
            RunError: its nodes are not those of the graph.
        """
        from specplan.objects.graph_file import restore_graph_checkpoint

        restore_graph_checkpoint(self, filepath)

    def get_config(self) -> dict[str, Any]:
        """The structure as plain values: `label`, and `nodes` and `optimizer` (or None) as a spec has them."""
        from specplan.objects.mapping import graph_section

        return {"label": self.label, "optimizer": None, **graph_section(self)}

    def get_state(self) -> dict[str, Any]:
        """What calls have changed: `model` (a checkpoint), ids of `nodes` by label, and `is_built`.

        Raises:
            RunError: a node or the optimizer holds what cannot be stored without pickle.
        """
        from specplan.objects.graph_file import state_of

        return state_of(self)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Bring back what `get_state` gave, of this graph or one of the same nodes.

        Raises:
            RunError: its nodes are not those of the graph.
        """
        from specplan.objects.graph_file import restore_state

        restore_state(self, state)

    def to_mermaid(self) -> str:
        """The graph as a Mermaid flowchart."""
        return draw_graph(self).to_mermaid()

    def to_svg(self) -> str:
        """The graph as an SVG element."""
        return draw_graph(self).to_svg()

    def visualize(self, show_frozen: bool = False) -> Drawing:  # noqa: FBT001, FBT002 -- as documented
        """The graph as a picture; a built graph shows the shapes on its edges.

        Args:
            show_frozen: mark the nodes that are frozen.
        """
        return draw_graph(self, show_frozen=show_frozen).shown()

    def _take(self, nodes: list[GraphNode]) -> ModelGraph:
        """Have these nodes from now on; shapes have to be found anew."""
        _check_nodes(self.label, nodes)
        self.nodes = NodeMap(nodes)
        self.compiled = None
        for node in nodes:
            node.compiled = None
        return self

    def _drop_own_optimizers(self) -> None:
        for node in self.nodes.values():
            if isinstance(node, ModelNode) and node.optimizer is not None:
                warnings.warn(
                    f"the graph and node `{node.label}` both have an optimizer; the graph's is used",
                    stacklevel=3,
                )
                node.optimizer = None

    def _found(self, node: GraphNode | str) -> GraphNode:
        if isinstance(node, GraphNode):
            return node
        if not isinstance(node, str):
            raise TypeError(f"the nodes of a graph are ModelNodes, not {type(node).__name__}")
        known = {member.label: member for member in nodes_of(self.context)}
        if node not in known:
            raise ValueError(f"there is no node `{node}`; known: {choices(node, known)}")
        return known[node]

    def _of_graph(self, node: GraphNode | str) -> GraphNode:
        found: GraphNode | None = self.nodes.get(
            node.label if isinstance(node, GraphNode) else node
        )
        if found is None or (isinstance(node, GraphNode) and found is not node):
            label = node.label if isinstance(node, GraphNode) else node
            known = choices(label, self.nodes)
            raise ValueError(f"ModelGraph `{self.label}` has no node `{label}`; known: {known}")
        return found

    def _chosen(self, nodes: Sequence[GraphNode | str] | None) -> Iterable[GraphNode]:
        if nodes is None:
            return self.nodes.values()
        return [self._of_graph(node) for node in checked_list("nodes", nodes)]

    def __repr__(self) -> str:
        built = "built" if self.is_built else "not built"
        return f"ModelGraph(label={self.label!r}, nodes={list(self.nodes)}, {built})"

    def _repr_html_(self) -> str:
        return draw_graph(self, show_frozen=True).to_html()


def _check_nodes(label: str, nodes: Sequence[GraphNode]) -> None:
    if not nodes:
        raise ValueError(f"ModelGraph `{label}` needs at least one node")
    for node in nodes:
        if not isinstance(node, GraphNode):
            raise TypeError(f"the nodes of a graph are ModelNodes, not {type(node).__name__}")
    labels = [node.label for node in nodes]
    for node in nodes:
        if labels.count(node.label) > 1:
            raise ValueError(f"ModelGraph `{label}` has two nodes `{node.label}`")
        for upstream in node.upstreams:
            if isinstance(upstream, GraphNode) and not any(upstream is other for other in nodes):
                raise ValueError(
                    f"node `{node.label}` reads node `{upstream.label}`, which is not in "
                    f"ModelGraph `{label}`; its nodes are {quoted(labels)}"
                )
    _check_cycles(nodes)
    _check_feature_sets(label, nodes)


def _check_cycles(nodes: Sequence[GraphNode]) -> None:
    """Raise ValueError if a node reads itself, also through others."""
    done: set[int] = set()

    def visit(node: GraphNode, around: tuple[GraphNode, ...]) -> None:
        if any(node is other for other in around):
            path = " -> ".join(other.label for other in (node, *reversed(around)))
            raise ValueError(f"cycle at node `{node.label}`: {path}; a graph has no cycles")
        if id(node) in done:
            return
        for upstream in node.upstreams:
            if isinstance(upstream, GraphNode):
                visit(upstream, (*around, node))
        done.add(id(node))

    for node in nodes:
        visit(node, ())


def _check_feature_sets(label: str, nodes: Sequence[GraphNode]) -> None:
    read: dict[str, FeatureSet] = {}
    for node in nodes:
        for source in node.sources:
            feature_set = source.feature_set
            if read.setdefault(feature_set.label, feature_set) is not feature_set:
                raise ValueError(
                    f"two different FeatureSets of ModelGraph `{label}` are called `{feature_set.label}`; "
                    f"make node `{node.label}` anew if one replaced the other"
                )
