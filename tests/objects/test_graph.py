from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from specplan import (
    EvalPhase,
    Experiment,
    FeatureSet,
    ModelGraph,
    ModelNode,
    Optimizer,
    PhaseGroup,
    SequentialCNN,
    SequentialMLP,
    SimpleSampler,
    SpecError,
    TemporalCNN,
    TrainPhase,
)
from tests.objects.parts import Parts, mse, sensor_data


def test_building_a_graph_tells_the_models_their_shapes(parts: Parts) -> None:
    model = parts.node.model
    assert isinstance(model, SequentialMLP)
    assert (model.is_built, parts.graph.is_built) == (False, False)
    parts.graph.build()
    assert (model.is_built, parts.graph.is_built) == (True, True)
    assert (model.input_shape, model.output_shape) == ((4,), (1,))


def test_a_model_with_both_shapes_is_built() -> None:
    assert SequentialMLP(input_shape=(4,), output_shape=(1,)).is_built
    assert not SequentialCNN(output_shape=(1,)).is_built


def test_a_model_made_for_other_rows_is_refused() -> None:
    Experiment("exp")
    node = ModelNode("MLP", SequentialMLP(input_shape=(7,)), sensor_data().reference())
    message = "SequentialMLP was made for rows of shape (7,), its node reads rows of shape (4,)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ModelGraph(nodes=[node]).build()


def test_axes_of_one_element_do_not_make_other_rows() -> None:
    Experiment("exp")
    model = SequentialMLP(input_shape=(1, 4), output_shape=(1, 1))
    ModelGraph(nodes=[ModelNode("MLP", model, sensor_data().reference())]).build()
    assert (model.input_shape, model.output_shape) == ((1, 4), (1, 1))
    assert repr(model).startswith(
        "SequentialMLP(input_shape=(1, 4), output_shape=(1, 1), n_layers=2,"
    )


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (SequentialCNN(), (1,)),
        (SequentialCNN(hidden_dim=3, flatten_output=False), (3, 4)),
        (TemporalCNN(), (1,)),
        (TemporalCNN(hidden_dim=3, flatten_output=False), (3, 4)),
    ],
    ids=["cnn", "cnn-features", "temporal", "temporal-features"],
)
def test_a_column_of_one_axis_is_one_channel(
    model: SequentialCNN | TemporalCNN, shape: tuple[int, ...]
) -> None:
    Experiment("exp")
    node = ModelNode("CNN", model, sensor_data().reference())
    ModelGraph(nodes=[node]).build()
    assert model.output_shape == node.output_shape == shape


def test_features_have_the_shape_that_they_have() -> None:
    Experiment("exp")
    model = SequentialCNN(output_shape=(7,), flatten_output=False)
    graph = ModelGraph(nodes=[ModelNode("CNN", model, sensor_data().reference())])
    with pytest.raises(SpecError, match=r"gives rows of shape \(16, 4\), not \(7,\)"):
        graph.build()


def test_shapes_that_do_not_fit_are_reported_by_the_compiler() -> None:
    Experiment("exp")
    node = ModelNode("CNN", SequentialCNN(kernel_size=9), sensor_data().reference())
    with pytest.raises(SpecError, match=r"^graph.nodes.CNN.model.kernel_size: error"):
        ModelGraph(nodes=[node]).build()


def test_a_chain_of_nodes_is_drawn_with_its_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    Experiment("exp")
    scale = ModelNode("Scale", StandardScaler(), sensor_data().reference())
    head = ModelNode("Head", SequentialMLP(), scale)
    graph = ModelGraph("two", nodes=[scale, head])
    assert list(graph.head_nodes.values()) == [scale]
    assert list(graph.tail_nodes.values()) == [head]
    graph.build()
    graph.visualize()
    assert capsys.readouterr().out == (
        "flowchart LR\n"
        '    Sensor[("Sensor")]\n'
        '    Scale["Scale: StandardScaler"]\n'
        '    Head["Head: mlp"]\n'
        '    Head__outputs(["outputs"])\n'
        '    Sensor -- "x (4,)" --> Scale\n'
        '    Scale -- "(4,)" --> Head\n'
        '    Head -- "(1,)" --> Head__outputs\n'
    )


def test_a_node_that_is_not_in_the_graph_is_named() -> None:
    Experiment("exp")
    scale = ModelNode("Scale", StandardScaler(), sensor_data().reference())
    head = ModelNode("Head", SequentialMLP(), scale)
    message = "node `Head` reads node `Scale`, which is not in ModelGraph `g`; its nodes are `Head`"
    with pytest.raises(ValueError, match=f"^{message}$"):
        ModelGraph("g", nodes=[head])
    with pytest.raises(ValueError, match=r"^ModelGraph `g` needs at least one node$"):
        ModelGraph("g", nodes=[])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "mlp",
            "^model is a SequentialMLP, SequentialCNN or TemporalCNN, a torch module or a scikit-learn ",
        ),
    ],
)
def test_other_models_are_refused(model: object, message: str) -> None:
    Experiment("exp")
    with pytest.raises(TypeError, match=message):
        ModelNode("N", model, sensor_data().reference())


def test_a_module_has_the_weights_of_its_node_after_a_call() -> None:
    experiment = Experiment("exp")
    module = torch.nn.Linear(4, 1)
    before = module.weight.detach().clone()
    node = ModelNode("Net", module, sensor_data().reference())
    adam = Optimizer("adam", opt_kwargs={"lr": 0.1}, backend="torch")
    graph = ModelGraph(nodes=[node], optimizer=adam)
    graph.build()
    phase = TrainPhase.from_split("train", "train", SimpleSampler(8), [mse(node)])
    experiment.preview_phase(phase)
    assert torch.equal(module.weight, before)
    experiment.run_phase(phase)
    once = module.weight.detach().clone()
    assert not torch.equal(once, before)
    experiment.run_phase(phase)
    assert not torch.equal(module.weight, once)


def test_a_node_learns_several_targets_at_once() -> None:
    Experiment("exp")
    rng = np.random.default_rng(0)
    columns = {"x": rng.random((8, 3)), "a": rng.random(8), "b": rng.random((8, 2))}
    source = FeatureSet.from_dict("S", columns, "x", ["a", "b"])
    node = ModelNode("N", Ridge(), source)
    graph = ModelGraph(nodes=[node])
    graph.build()
    assert node.spec()["target"] == ["S.a", "S.b"]
    assert (node.input_shape, node.output_shape) == ((3,), (3,))
    assert ModelNode("M", Ridge(), source.reference(targets="b")).spec()["target"] == "S.b"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"opt": "adam"},
            ValueError,
            "Optimizer 'adam' needs a backend: Optimizer('adam', backend=",
        ),
        (
            {"opt": "adam", "backend": "jax"},
            ValueError,
            "Optimizer 'adam': the backend is \"torch\", not 'jax'",
        ),
        (
            {"opt": "adan", "backend": "torch"},
            ValueError,
            "there is no optimizer `adan`; known: `sgd`, `adam`, `adamw`, `rmsprop`, `ASGD`, `Adadelta`, "
            "`Adafactor`, `Adagrad`, `Adamax`, `NAdam`, `RAdam`, `Rprop`; did you mean `adam`?",
        ),
        (
            {"opt": "ADAM", "opt_kwargs": {"lrr": 1}, "backend": "torch"},
            TypeError,
            "optimizer `adam` has no argument `lrr`; it has: `lr`, `betas`, `eps`, `weight_decay`, "
            "`amsgrad`; did you mean `lr`?",
        ),
        (
            {"opt": "adam", "backend": "torch", "clip_norm": 0},
            ValueError,
            "clip_norm is a number above 0, not 0",
        ),
        (
            {"opt": "adam", "backend": "torch", "clip_value": "1"},
            TypeError,
            "clip_value is a number, not str",
        ),
        (
            {"opt": "adam", "opt_kwargs": {"lr": -1}, "backend": "torch"},
            ValueError,
            "optimizer `adam`: `lr`: Expected `float` >= 0",
        ),
    ],
)
def test_an_optimizer_is_checked(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        Optimizer(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_dim": 0}, "model `mlp`: `hidden_dim`: Expected `int` >= 1"),
        ({"dropout": 1.0}, "model `mlp`: `dropout`: Expected `float` < 1.0"),
        (
            {"activation": "rel"},
            "model `mlp`: `activation`: Invalid enum value 'rel'; it is one of `elu`, `gelu`, `identity`, "
            "`leaky_relu`, `relu`, `sigmoid`, `silu`, `tanh`",
        ),
    ],
)
def test_a_model_is_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SequentialMLP(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": "MLP"}, "nodes is a list, not str"),
        ({"nodes": [3]}, "the nodes of a graph are ModelNodes, not int"),
        (
            {"optimizer": "adam"},
            'optimizer is an Optimizer, as in Optimizer("adam", backend="torch"), not str',
        ),
    ],
)
def test_a_graph_is_made_of_nodes_and_an_optimizer(
    parts: Parts, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        ModelGraph(**{"nodes": [parts.node], **arguments})


def test_a_graph_does_not_mix_a_feature_set_with_its_replacement() -> None:
    Experiment("exp", registration_policy="overwrite")
    old = ModelNode("Old", SequentialMLP(), sensor_data())
    new = ModelNode("New", SequentialMLP(), sensor_data())
    with pytest.raises(
        ValueError, match=r"^two different FeatureSets of ModelGraph `g` are called"
    ):
        ModelGraph("g", nodes=[old, new])


def test_an_experiment_shows_its_graph_and_its_plan(parts: Parts) -> None:
    phase = TrainPhase.from_split("train", "train", SimpleSampler(8), [parts.loss])
    parts.experiment.execution_plan.add_phase(phase)
    parts.experiment.execution_plan.add_group(
        PhaseGroup("more", [EvalPhase.from_split("e", "test")])
    )
    text = parts.experiment.to_mermaid()
    assert '    Sensor -- "x" --> MLP' in text
    assert '    subgraph in_execution_plan["execution plan"]' in text
    assert '        phase_1("eval e")' in text
    assert "    phase_0 --> phase_1" in text
    assert parts.experiment.to_svg().startswith("<svg ")
