"""What the calls of an experiment change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.models.torch.wrapper import held_module

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
