"""Graphs, phases and plans as pictures."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from specplan.base.drawing import Box, Drawing, Edge, Form
from specplan.data.reference import FeatureSetReference
from specplan.objects.node import ModelNode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.objects.graph import ModelGraph
    from specplan.objects.node import GraphNode
    from specplan.objects.phase import Phase


def draw_graph(graph: ModelGraph, *, show_frozen: bool = False) -> Drawing:
    """The FeatureSets, the nodes, and the shape of a row on each edge of a built graph."""
    names = dict.fromkeys(
        source.feature_set.label for node in graph.nodes.values() for source in node.sources
    )
    boxes = [Box(_name(name), name, "data") for name in names]
    edges: list[Edge] = []
    for label, node in graph.nodes.items():
        frozen = show_frozen and node.is_frozen
        text = f"{label}: {use_of(node)}" + (" (frozen)" if frozen else "")
        form: Form = "node" if "model" in node.spec() else "merge"
        backend = node.backend if isinstance(node, ModelNode) else ""
        boxes.append(Box(_name(label), text, form, faded=frozen, backend=backend))
        reads = () if node.compiled is None else node.compiled.inputs
        shapes = [str(read.shape) for read in reads] or [""] * len(node.upstreams)
        for upstream, shape in zip(node.upstreams, shapes, strict=False):
            source, columns = _source(upstream)
            edges.append(
                Edge(_name(source), _name(label), " ".join([*columns, *[shape] * bool(shape)]))
            )
    for node in graph.tail_nodes.values():
        if node.compiled is not None:
            outputs = f"{_name(node.label)}__outputs"
            boxes.append(Box(outputs, "outputs", "outputs"))
            edges.append(Edge(_name(node.label), outputs, str(node.compiled.shape)))
    return Drawing(boxes, edges)


def draw_phase(phase: Phase) -> Drawing:
    """From the split through the sampler to the nodes that it feeds, and to their losses."""
    boxes: dict[str, Box] = {}
    edges: list[Edge] = []
    frame = phase.describe()
    for binding in phase.input_sources:
        split = binding.split or "all rows"
        source = _name(f"{binding.feature_set.label}__{split}")
        boxes[source] = Box(source, f"{binding.feature_set.label}: {split}", "data", frame)
        node = _name(binding.node.label)
        boxes.setdefault(node, Box(node, binding.node.label, "node", frame))
        sampled = "" if binding.sampler is None else binding.sampler.describe()
        edges.append(Edge(source, node, sampled))
    for loss in phase.losses:
        name, node = f"loss__{_name(loss.label)}", _name(loss.node.label)
        boxes.setdefault(node, Box(node, loss.node.label, "node", frame))
        boxes[name] = Box(name, f"{loss.label}: {loss.loss.name}", "loss", frame)
        edges.append(Edge(node, name, ", ".join(map(str, loss.inputs))))
    return Drawing(list(boxes.values()), edges)


def draw_phases(phases: Sequence[tuple[Phase, str | None]]) -> Drawing:
    """Phases one after the other; those of a nested group, whose path is beside them, in a frame."""
    boxes = [
        Box(f"phase_{index}", phase.describe(), "phase", within)
        for index, (phase, within) in enumerate(phases)
    ]
    return Drawing(boxes, [Edge(one.name, other.name) for one, other in pairwise(boxes)])


def draw_experiment(
    graph: ModelGraph | None, phases: Sequence[tuple[Phase, str | None]]
) -> Drawing:
    """The graph, and in a frame of its own the phases in the order in which they run."""
    drawn = Drawing([], []) if graph is None else draw_graph(graph, show_frozen=True)
    plan = draw_phases([(phase, within or "execution plan") for phase, within in phases])
    return Drawing(drawn.boxes + plan.boxes, drawn.edges + plan.edges)


def use_of(node: GraphNode) -> str:
    """Short name of what a node computes with."""
    section = node.spec()
    component = section.get("model") or section["merge"]
    return str(component["use"]).rpartition(":")[2]


def _source(upstream: FeatureSetReference | GraphNode) -> tuple[str, list[str]]:
    """The label of what a node reads, and the columns of it."""
    if isinstance(upstream, FeatureSetReference):
        return upstream.feature_set.label, [", ".join(upstream.features)]
    return upstream.label, []


def _name(label: str) -> str:
    """A label as an identifier of Mermaid: `end` and what has other characters are none."""
    word = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in label)
    return f"{word}_" if word.lower() in ("end", "graph", "subgraph", "style") else word
