"""Changes of a graph: who reads whom after a node came or went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.objects.node import GraphNode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.data.reference import FeatureSetReference

    Read = FeatureSetReference | GraphNode


def connected(
    nodes: Sequence[GraphNode], before: GraphNode, after: tuple[Read, ...]
) -> list[GraphNode]:
    """Let those of `nodes` that read `before` read `after`. Raises ValueError where one cannot read as much."""
    for node in nodes:
        if any(read is before for read in node.upstreams):
            node.redirect(before, after)
    return list(nodes)


def replaced(nodes: list[GraphNode], old: GraphNode, new: GraphNode) -> list[GraphNode]:
    """`nodes` with `new` in the place of `old`."""
    _read(new, old.upstreams)
    return connected([new if node is old else node for node in nodes], old, (new,))


def inserted(
    nodes: list[GraphNode], new: GraphNode, reads: tuple[Read, ...], downstream: GraphNode | None
) -> list[GraphNode]:
    """`nodes` with `new`, which reads `reads`, and is read by `downstream` in their place."""
    _read(new, reads)
    if downstream is not None:
        first, *others = reads
        downstream.redirect(first, (new,))
        for other in others:
            downstream.redirect(other, ())
    return [*nodes, new]


def _read(node: GraphNode, reads: tuple[Read, ...]) -> None:
    """Let a node read `reads`, whatever it read before."""
    if not isinstance(node, GraphNode):
        raise TypeError(f"the nodes of a graph are ModelNodes, not {type(node).__name__}")
    first, *others = node.upstreams
    node.redirect(first, reads)
    for other in others:
        if not any(other is read for read in reads):
            node.redirect(other, ())
