from __future__ import annotations

import pytest

from specplan import Experiment, ModelGraph, ModelNode, Optimizer, SequentialMLP
from tests.objects.parts import Parts, mse, sensor_data


@pytest.fixture
def parts() -> Parts:
    experiment = Experiment("exp")
    feature_set = sensor_data()
    node = ModelNode("MLP", SequentialMLP(hidden_dim=8), feature_set.reference())
    optimizer = Optimizer("adam", opt_kwargs={"lr": 0.01}, backend="torch")
    graph = ModelGraph(nodes=[node], optimizer=optimizer)
    return Parts(experiment, feature_set, node, graph, mse(node))
