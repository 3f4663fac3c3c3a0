"""The graph of a plan as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.base.drawing import Box, Drawing, Edge
from specplan.plan.shapes import show

if TYPE_CHECKING:
    from specplan.plan.model import Graph, Node


def draw_plan_graph(graph: Graph) -> Drawing:
    """The FeatureSets and nodes, with the shape of a row on each edge."""
    boxes: dict[str, Box] = {}
    edges = []
    for label in graph.order:
        node = graph.nodes[label]
        for read in node.inputs:
            source, _, columns = read.value.partition(".")
            boxes.setdefault(source, Box(source, f"{source}\ndata", "data"))
            text = " ".join(part for part in (columns, show(read.shape)) if part)
            edges.append(Edge(source, label, text))
        boxes[label] = Box(label, f"{label}\n{_remark(node)}", backend=node.backend)
    return Drawing(list(boxes.values()), edges)


def _remark(node: Node) -> str:
    return f"{node.component.use.rpartition(':')[2]} → {show(node.shape)}"
