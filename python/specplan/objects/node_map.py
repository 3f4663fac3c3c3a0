"""Nodes by label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specplan.objects.node import GraphNode


class NodeMap(dict[str, "GraphNode"]):
    """Nodes by label, in order. The id of a node finds it, too."""

    def __init__(self, nodes: Iterable[GraphNode]) -> None:
        super().__init__((node.label, node) for node in nodes)

    def __missing__(self, key: str) -> GraphNode:
        for node in self.values():
            if node.id == key:
                return node
        raise KeyError(f"there is no node `{key}`; known: {choices(str(key), self.keys())}")

    def get(self, key: str, default: Any = None) -> Any:
        """The node of a label or id; `default` where there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None
