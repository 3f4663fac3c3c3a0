"""Graphs that change after they were made."""

from __future__ import annotations

import re

import pytest

from specplan import ConcatNode, Experiment, ModelGraph, ModelNode, SequentialMLP
from specplan.objects.node import GraphNode, label_of
from tests.objects.parts import sensor_data


def mlp(label: str, upstream: object) -> ModelNode:
    return ModelNode(label, SequentialMLP(output_shape=(2,)), upstream)  # type: ignore[arg-type]


def chain() -> tuple[ModelGraph, list[ModelNode]]:
    Experiment("exp", registration_policy="overwrite")
    one = mlp("A", sensor_data().reference())
    two = mlp("B", one)
    three = mlp("C", two)
    return ModelGraph(nodes=[one, two, three]), [one, two, three]


def reads(graph: ModelGraph) -> dict[str, list[str]]:
    return {
        label: [label_of(read) for read in node.upstreams] for label, node in graph.nodes.items()
    }


def test_a_removed_node_connects_its_neighbours() -> None:
    graph, (one, *_) = chain()
    graph.build()
    assert graph.remove_node("B") is graph
    assert reads(graph) == {"A": ["Sensor"], "C": ["A"]}
    assert not graph.is_built
    assert not one.is_built
    graph.build()
    assert graph.nodes["C"].input_shape == (2,)  # type: ignore[attr-defined]


def test_a_built_model_takes_the_shape_of_what_it_reads_now() -> None:
    Experiment("exp", registration_policy="overwrite")
    one = ModelNode("A", SequentialMLP(output_shape=(8,)), sensor_data().reference())
    two = ModelNode("B", SequentialMLP(output_shape=(4,)), one)
    three = ModelNode("C", SequentialMLP(output_shape=(1,)), two)
    graph = ModelGraph(nodes=[one, two, three])
    graph.build()
    assert graph.nodes["C"].input_shape == (4,)  # type: ignore[attr-defined]
    graph.remove_node("B").build()
    assert graph.nodes["C"].input_shape == (8,)  # type: ignore[attr-defined]


def test_a_node_takes_the_place_of_another() -> None:
    graph, (_, two, _) = chain()
    other = mlp("Other", sensor_data().reference())
    graph.replace_node(two, other)
    assert reads(graph) == {"A": ["Sensor"], "Other": ["A"], "C": ["Other"]}


def test_nodes_are_inserted_between_before_and_after() -> None:
    graph, (one, two, three) = chain()
    between, before, after = (mlp(label, one) for label in ("Between", "Before", "After"))
    graph.insert_node_between(between, upstream=one, downstream="B")
    graph.insert_node_before(before, downstream=three).insert_node_after(after, upstream=two)
    assert reads(graph) == {
        "A": ["Sensor"],
        "B": ["Between"],
        "C": ["Before"],
        "Between": ["A"],
        "Before": ["B"],
        "After": ["B"],
    }
    assert set(graph.tail_nodes) == {"C", "After"}
    graph.build()


def test_a_node_is_added() -> None:
    graph, (_, two, _) = chain()
    graph.add_node(mlp("D", two))
    assert reads(graph)["D"] == ["B"]
    with pytest.raises(ValueError, match=r"^ModelGraph `model-graph` has a node `D` already$"):
        graph.add_node(graph.nodes["D"])


def test_a_merge_is_not_replaced_by_what_it_reads() -> None:
    Experiment("exp", registration_policy="overwrite")
    source = sensor_data().reference()
    one, two = mlp("A", source), mlp("B", source)
    merge = ConcatNode("Merge", [one, two])
    head = mlp("Head", merge)
    graph = ModelGraph(nodes=[one, two, merge, head])
    message = "node `Head` reads one value and would read 2; put a ConcatNode between"
    with pytest.raises(ValueError, match=f"^{message}$"):
        graph.remove_node(merge)
    graph.remove_node(two)
    assert reads(graph)["Merge"] == ["A", "Sensor"]


def test_a_cycle_is_refused_and_named() -> None:
    graph, (one, _, three) = chain()
    one.upstream_ref = three
    message = "cycle at node `A`: A -> B -> C -> A; a graph has no cycles"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ModelGraph("again", nodes=list(graph.nodes.values()))


def test_what_is_not_there_is_named() -> None:
    graph, (one, _, three) = chain()
    with pytest.raises(ValueError, match=r"has no node `E`; known: `A`, `B`, `C`"):
        graph.remove_node("E")
    with pytest.raises(ValueError, match=r"^node `C` does not read node `A`$"):
        graph.insert_node_between(mlp("D", one), upstream=one, downstream=three)


def test_nodes_are_found_by_label_and_id_and_frozen() -> None:
    graph, (one, two, _) = chain()
    assert graph.nodes[one.id] is graph.nodes["A"] is one
    assert one.id in graph.nodes
    assert "Z" not in graph.nodes
    assert ModelGraph("by_label", nodes=["A", "B", "C"]).node_labels == {"A", "B", "C"}
    graph.freeze([one, "B"])
    frozen: list[GraphNode] = list(graph.frozen_nodes.values())
    assert frozen == [one, two]
    assert one.spec()["frozen"]
    graph.unfreeze()
    assert not graph.frozen_nodes
    graph.freeze()
    assert len(graph.frozen_nodes) == 3
