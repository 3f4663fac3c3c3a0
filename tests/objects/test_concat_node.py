"""Nodes that join what others give."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from specplan import (
    ConcatNode,
    EvalPhase,
    Experiment,
    FeatureSet,
    InputBinding,
    MergeStrategy,
    ModelGraph,
    ModelNode,
    SequentialMLP,
    SpecError,
)

Shape = tuple[int, ...]


def data() -> FeatureSet:
    rng = np.random.default_rng(0)
    return FeatureSet.from_dict(
        "Data", {"x": rng.random((20, 1, 10)), "y": rng.random((20, 1, 1))}, "x", "y"
    )


def joined(one: Shape, other: Shape, **arguments: Any) -> tuple[ConcatNode, ModelGraph]:
    Experiment("exp", registration_policy="overwrite")
    source = data().reference()
    nodes = [
        ModelNode(label, SequentialMLP(output_shape=shape, n_layers=1), source)
        for label, shape in (("A", one), ("B", other))
    ]
    merge = ConcatNode("Merge", nodes, **{"concat_axis_targets": "first"} | arguments)
    head = ModelNode("Head", SequentialMLP(n_layers=1), merge)
    return merge, ModelGraph(nodes=[*nodes, merge, head])


@pytest.mark.parametrize(
    ("one", "other", "arguments", "shape"),
    [
        ((1, 8), (1, 8), {}, (2, 8)),
        ((1, 8), (1, 8), {"concat_axis": 1}, (1, 16)),
        ((1, 8), (1, 16), {"concat_axis": -1}, (1, 24)),
        ((2, 8), (3, 6), {"pad_inputs": True}, (5, 8)),
    ],
)
def test_rows_are_joined_along_an_axis(
    one: Shape, other: Shape, arguments: dict[str, Any], shape: Shape
) -> None:
    merge, graph = joined(one, other, **arguments)
    graph.build()
    assert merge.output_shape == shape
    assert list(merge.input_shapes.values()) == [one, other]
    assert graph.nodes["Head"].output_shape == (1, 1)


@pytest.mark.parametrize("mode", ["constant", "replicate", "reflect", "circular"])
def test_rows_are_padded_at_their_ends(mode: str) -> None:
    merge, graph = joined((2, 8), (3, 6), pad_inputs=True, pad_mode=mode, pad_value=7.0)
    experiment = Experiment.from_active_context("exp", overwrite=True)
    results = experiment.run_phase(
        EvalPhase("eval", _bindings(graph), active_nodes=["A", "B", merge])
    )
    rows = results.run.tensors("Merge", "outputs", phase="eval").stacked()
    assert rows.shape == (20, 5, 8)
    filled = {
        "constant": np.full((20, 3, 2), 7.0),
        "replicate": rows[:, 2:, [5, 5]],
        "reflect": rows[:, 2:, [4, 3]],
        "circular": rows[:, 2:, [0, 1]],
    }
    np.testing.assert_array_equal(rows[:, 2:, 6:], filled[mode])


def _bindings(graph: ModelGraph) -> list[Any]:
    return [InputBinding.for_evaluation(node) for node in graph.head_nodes.values()]


def test_rows_that_do_not_fit_are_refused() -> None:
    _, graph = joined((2, 8), (3, 6))
    with pytest.raises(SpecError, match=re.escape("cannot concatenate `A` (2, 8) and `B` (3, 6)")):
        graph.build()


def test_targets_are_chosen_by_a_strategy() -> None:
    merge, graph = joined((1, 8), (1, 8), concat_axis_targets=-1)
    column = merge.targets[0]
    assert merge.targets == (column, column)
    graph.build()
    assert graph.nodes["Head"].output_shape == (1, 2)
    for strategy in ("first", "last", MergeStrategy.MEAN):
        assert joined((1, 8), (1, 8), concat_axis_targets=strategy)[0].spec()["target"] == "Data.y"
    Experiment("exp", registration_policy="overwrite")
    one = ModelNode("A", SequentialMLP(), data().reference())
    two = ModelNode("B", SequentialMLP(), one)
    assert ConcatNode("M", [one, two], concat_axis_targets=two).target_strategy is two
    with pytest.raises(TypeError, match="there is no target_axis"):
        _ = ConcatNode("N", [one, two], concat_axis_targets=two).target_axis
    assert ConcatNode("O", [one, two]).target_axis == -1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pad_inputs": True, "pad_mode": "wrap"}, "it is one of `circular`, `constant`"),
        ({"concat_axis_targets": "middle"}, "is an axis, a node, or `first`, `last`, `mean`"),
    ],
)
def test_wrong_arguments_are_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        joined((1, 8), (1, 8), **arguments)


def test_one_value_is_not_joined() -> None:
    Experiment("exp")
    with pytest.raises(ValueError, match=r"^ConcatNode `M` joins at least two values, not 1$"):
        ConcatNode("M", [data().reference()])
