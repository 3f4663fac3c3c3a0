"""What the calls of an experiment change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.models.torch.wrapper import held_module
from specplan.objects.mapping import compile_nodes
from specplan.objects.state_entries import state_from_bytes

if TYPE_CHECKING:
    from specplan.objects.graph import ModelGraph
    from specplan.run.state import Snapshot, State


class Live:
    """What the calls change.

    Attributes:
        graph: the graph that it belongs to.
        state: weights, estimators and optimizer.
    """

    def __init__(self, graph: ModelGraph, state: State) -> None:
        self.graph = graph
        self.state = state

    def build(self, seed: int) -> None:
        """Build the nodes that the state has not got yet, as the first run would do otherwise."""
        from specplan.run.build import build_nodes

        build_nodes(compile_nodes(self.graph, seed=seed), self.state)

    def go_back(self, snapshot: Snapshot) -> None:
        """Bring back a snapshot, of this state or of a file."""
        self.state.restore(snapshot)

    def give_back(self) -> None:
        """Give the modules of the program the weights that their nodes have."""
        modules = self.state.modules()
        for label, node in self.graph.nodes.items():
            module = held_module(getattr(node, "model", None))
            if module is not None and label in modules:
                module.load_state_dict(modules[label].state_dict())


def fresh(graph: ModelGraph) -> Live:
    """The state of a graph of which nothing is built."""
    from specplan.run.state import State

    return Live(graph, State())


def live_of(graph: ModelGraph, *, seed: int = 0) -> Live:
    """A fresh state of a graph; of one that was loaded, the state of its file.

    Args:
        graph: the graph.
        seed: of the experiment, from which what has no seed of its own gets one.
    """
    live = fresh(graph)
    if graph.restored is not None:
        live.build(seed)
        live.go_back(state_from_bytes(graph.restored, live.state))
    return live
