"""Graphs and phases as Mermaid flowcharts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.data.reference import FeatureSetReference

if TYPE_CHECKING:
    from specplan.experiment.graph import ModelGraph, ModelNode
    from specplan.experiment.phase import Phase


def show(text: str) -> None:
    """Print what a person asked to see."""
    print(text)  # noqa: T201 -- to show it is what the caller asks for


def draw_graph(graph: ModelGraph) -> str:
    """The FeatureSets, the nodes, and the shape of a row on each edge of a built graph."""
    lines = ["flowchart LR"]
    lines += [
        f'    {name}[("{name}")]'
        for name in dict.fromkeys(node.source.feature_set.label for node in graph.nodes.values())
    ]
    lines += [f'    {name}["{name}: {use_of(node)}"]' for name, node in graph.nodes.items()]
    for name, node in graph.nodes.items():
        shape = "" if graph.compiled is None else str(graph.compiled.nodes[name].inputs[0].shape)
        lines.append(_edge(_upstream_label(node), name, _columns(node), shape))
    for node in graph.tail_nodes:
        if graph.compiled is not None:
            output = f"{node.label}__outputs"
            lines.append(f'    {output}(["outputs"])')
            lines.append(_edge(node.label, output, str(graph.compiled.nodes[node.label].shape)))
    return "\n".join(lines)


def draw_phase(phase: Phase) -> str:
    """From the split through the sampler to the nodes that it feeds, and to their losses."""
    lines = ["flowchart LR", f'    subgraph phase["{phase.describe()}"]']
    for binding in phase.input_sources:
        split = binding.split or "all rows"
        source = f"{binding.feature_set.label}__{split}".replace(" ", "_")
        lines.append(f'    {source}[("{binding.feature_set.label}: {split}")]')
        sampled = "" if binding.sampler is None else repr(binding.sampler)
        lines.append(_edge(source, binding.node.label, sampled.replace('"', "'")))
    for loss in phase.losses:
        name = f"loss__{loss.label}"
        lines.append(f'    {name}{{{{"{loss.label}: {loss.loss.name}"}}}}')
        lines.append(_edge(loss.node.label, name, ", ".join(loss.inputs)))
    lines.append("    end")
    return "\n".join(lines)


def use_of(node: ModelNode) -> str:
    """Short name of a node's model."""
    return str(node.component["use"]).rpartition(":")[2]


def _edge(source: str, target: str, *parts: str) -> str:
    text = " ".join(part for part in parts if part)
    return f'    {source} -- "{text}" --> {target}' if text else f"    {source} --> {target}"


def _upstream_label(node: ModelNode) -> str:
    upstream = node.upstream_ref
    if isinstance(upstream, FeatureSetReference):
        return upstream.feature_set.label
    return upstream.label


def _columns(node: ModelNode) -> str:
    upstream = node.upstream_ref
    return ", ".join(upstream.features) if isinstance(upstream, FeatureSetReference) else ""
