"""The parts of a small experiment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from specplan import (
    AppliedLoss,
    Experiment,
    FeatureSet,
    Loss,
    ModelGraph,
    ModelNode,
    Optimizer,
    ResultsConfig,
    SequentialMLP,
)

ROWS = 60


class Parts(NamedTuple):
    experiment: Experiment
    feature_set: FeatureSet
    node: ModelNode
    graph: ModelGraph
    loss: AppliedLoss


def sensor_data() -> FeatureSet:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 4))
    y = x @ np.array([[1.0], [2.0], [-1.0], [0.5]])
    feature_set = FeatureSet.from_dict("Sensor", {"x": x, "y": y}, "x", "y")
    feature_set.split_random({"train": 0.75, "test": 0.25}, seed=3)
    return feature_set


def mse(on: ModelNode | str, label: str | None = None) -> AppliedLoss:
    return AppliedLoss(Loss("mse", backend="torch"), on, ["outputs", "targets"], label=label)


def made(results_config: ResultsConfig | None = None) -> Parts:
    """The same objects each time, in a context of their own."""
    experiment = Experiment("exp", results_config=results_config)
    feature_set = sensor_data()
    node = ModelNode("MLP", SequentialMLP(hidden_dim=8), feature_set.reference())
    optimizer = Optimizer("adam", opt_kwargs={"lr": 0.01}, backend="torch")
    graph = ModelGraph(nodes=[node], optimizer=optimizer)
    return Parts(experiment, feature_set, node, graph, mse(node))
