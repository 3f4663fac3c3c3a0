"""Models that wrap those of torch and scikit-learn, in experiments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from specplan import (
    AppliedLoss,
    EvalPhase,
    Experiment,
    FeatureSet,
    FitPhase,
    InputBinding,
    Loss,
    ModelGraph,
    ModelNode,
    Optimizer,
    ScikitModelWrapper,
    SequentialMLP,
    SimpleSampler,
    TorchModelWrapper,
    TrainPhase,
    wrap_model,
)
from tests.objects.parts import mse, sensor_data

ADAM = {"opt_kwargs": {"lr": 0.01}, "backend": "torch"}


class Encoder(nn.Module):
    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = nn.Linear(input_shape[0], output_shape[0])

    def forward(self, rows: Tensor) -> Tensor:
        out: Tensor = self.layer(rows)
        return out


def test_models_are_wrapped() -> None:
    module = nn.Linear(4, 1)
    wrapped = wrap_model(module)
    assert isinstance(wrapped, TorchModelWrapper)
    assert (wrapped.model, wrapped.backend, wrapped.is_built) == (module, "torch", False)
    wrapped.build((4,), (1,))
    assert (wrapped.input_shape, wrapped.output_shape) == ((4,), (1,))
    with pytest.raises(ValueError, match=r"^the model gives rows of shape \(1,\), not \(2,\)$"):
        wrapped.build((4,), (2,))
    mlp = SequentialMLP()
    assert wrap_model(mlp) is mlp
    assert wrap_model(RandomForestRegressor()).backend == "sklearn"


def test_a_class_is_given_its_shapes() -> None:
    Experiment("exp")
    node = ModelNode("Net", Encoder, sensor_data().reference())
    ModelGraph(nodes=[node]).build()
    assert (node.input_shape, node.output_shape) == ((4,), (1,))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "^TorchModelWrapper takes either `model` or `model_class`$"),
        ({"model": nn.ReLU(), "model_kwargs": {"a": 1}}, ValueError, "^`model` is made already"),
        ({"model": 3}, TypeError, "^`model` is a torch.nn.Module, not int$"),
        ({"model_class": int}, TypeError, "^`model_class` is a subclass of torch.nn.Module"),
    ],
)
def test_a_wrapper_is_checked(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TorchModelWrapper(**arguments)


def test_estimators_say_how_they_learn() -> None:
    forest, sgd = ScikitModelWrapper(RandomForestRegressor()), ScikitModelWrapper(SGDRegressor())
    assert (forest.supports_partial_fit, forest.resolved_training_mode) == (False, "batch_fit")
    assert (sgd.supports_partial_fit, sgd.resolved_training_mode) == (True, "partial_fit")
    for arguments, message in (
        ({"training_mode": "partial_fit"}, "RandomForestRegressor has no partial_fit"),
        ({"training_mode": "slowly"}, "training_mode is `auto`, `partial_fit`, `batch_fit`"),
        ({"output_method": "predict_proba"}, "RandomForestRegressor has no predict_proba"),
        ({"output_method": "guess"}, "output_method is `auto`, `predict`, "),
    ):
        with pytest.raises(ValueError, match=message):
            ScikitModelWrapper(RandomForestRegressor(), **arguments)  # type: ignore[arg-type]


def test_an_estimator_trains_batch_by_batch_in_a_train_phase() -> None:
    experiment = Experiment("exp")
    data = sensor_data()
    node = ModelNode("Net", SGDRegressor(random_state=0), data.reference())
    ModelGraph(nodes=[node])
    phase = TrainPhase.from_split("train", "train", SimpleSampler(9), [mse(node)], 3)
    losses = experiment.run_phase(phase).metrics(name="mse").values()
    assert list(losses)
    results = experiment.run_phase(EvalPhase.from_split("test", "test", [mse(node)]))
    by_hand = SGDRegressor(random_state=0)
    rows = data.get_split("train")
    x, y = (np.asarray(rows.get_features(fmt="numpy")), np.asarray(rows.get_targets(fmt="numpy")))
    for _ in range(3):
        for at in range(0, len(x), 9):
            by_hand.partial_fit(x[at : at + 9].reshape(-1, 4), y[at : at + 9].reshape(-1))
    test = np.asarray(data.get_split("test").get_features(fmt="numpy")).reshape(-1, 4)
    found = results.run.tensors("Net", "outputs", phase="test").stacked().reshape(-1)
    np.testing.assert_allclose(found, by_hand.predict(test), rtol=1e-6)


def test_torch_and_estimators_need_optimizers_of_their_own() -> None:
    experiment = Experiment("exp", registration_policy="overwrite")
    reference = sensor_data().reference()
    net = ModelNode("Net", SequentialMLP(), reference)
    sgd = ModelNode("Sgd", SGDRegressor(), reference)
    ModelGraph(nodes=[net, sgd], optimizer=Optimizer("adam", **ADAM))  # type: ignore[arg-type]
    losses = [mse(net, "net"), mse(sgd, "sgd")]
    with pytest.raises(RuntimeError, match="^train phase `t` trains `Net` by the optimizer of the"):
        TrainPhase.from_split("t", "train", SimpleSampler(8), losses)
    own = ModelNode("Net", SequentialMLP(), reference, Optimizer("adam", **ADAM))  # type: ignore[arg-type]
    ModelGraph("own", nodes=[own, sgd])
    losses = [mse(own, "net"), mse(sgd, "sgd")]
    experiment.run_phase(TrainPhase.from_split("t", "train", SimpleSampler(8), losses, 2))
    assert experiment.to_spec is not None


def test_the_optimizer_of_a_graph_takes_the_place_of_that_of_a_node() -> None:
    Experiment("exp")
    adam = Optimizer("adam", **ADAM)  # type: ignore[arg-type]
    node = ModelNode("Net", SequentialMLP(), sensor_data().reference(), adam)
    with pytest.warns(UserWarning, match="^the graph and node `Net` both have an optimizer"):
        ModelGraph(nodes=[node], optimizer=adam)
    assert node.optimizer is None


@pytest.mark.parametrize(
    "estimator", [LinearRegression(), make_pipeline(StandardScaler(), LinearRegression())]
)
def test_fitting_equals_the_estimator_itself(estimator: Any) -> None:
    experiment = Experiment("exp")
    data = sensor_data()
    node = ModelNode("Net", estimator, data.reference())
    ModelGraph(nodes=[node])
    experiment.run_phase(FitPhase.from_split("fit", "train"))
    results = experiment.run_phase(EvalPhase.from_split("test", "test", [mse(node)]))
    train, test = data.get_split("train"), data.get_split("test")
    x = np.asarray(train.get_features(fmt="numpy")).reshape(-1, 4)
    direct = estimator.fit(x, np.asarray(train.get_targets(fmt="numpy")).reshape(-1))
    rows = np.asarray(test.get_features(fmt="numpy")).reshape(-1, 4)
    found = results.run.tensors("Net", "outputs", phase="test").stacked().reshape(-1)
    np.testing.assert_allclose(found, direct.predict(rows), rtol=1e-6)


def test_a_classifier_gives_probabilities() -> None:
    experiment = Experiment("exp")
    rng = np.random.default_rng(0)
    x = rng.random((60, 3))
    columns = {"x": x, "y": (x[:, 0] * 3).astype(int)}
    data = FeatureSet.from_dict("S", columns, "x", "y")
    forest = RandomForestClassifier(5, random_state=0)
    node = ModelNode("F", ScikitModelWrapper(forest, output_method="predict_proba"), data)
    graph = ModelGraph(nodes=[node])
    graph.build()
    assert node.output_shape == (3,)
    bindings = [InputBinding.for_evaluation(node)]
    experiment.run_phase(FitPhase("fit", bindings))
    results = experiment.run_phase(EvalPhase("all", bindings))
    found = results.run.tensors("F", "outputs", phase="all").stacked()
    np.testing.assert_allclose(found, forest.fit(x, columns["y"]).predict_proba(x), rtol=1e-6)


def test_losses_come_in_every_form() -> None:
    named = Loss("CrossEntropyLoss", loss_kwargs={"ignore_index": 3}, backend="torch")
    assert named.spec("x") == {"use": "torch.nn:CrossEntropyLoss", "ignore_index": 3}
    assert Loss("kldiv", backend="torch", reduction="sum").spec("x") == {
        "use": "torch.nn:KLDivLoss",
        "reduction": "sum",
    }
    assert Loss("mse", backend="torch").reads == ("input", "target")
    made = Loss(factory=nn.HuberLoss, loss_kwargs={"delta": 2.0})
    assert (made.name, made.spec("x"), made.live.delta) == ("huber", {"use": "live:x"}, 2.0)
    assert Loss(nn.L1Loss).name == "l1"
    assert Loss(lambda outputs, targets: outputs - targets).reads == ("outputs", "targets")
    with pytest.raises(ValueError, match="^a Loss takes either `loss` or `factory`$"):
        Loss()
    with pytest.raises(ValueError, match="^reduction is `none`, `mean`, `sum`, not 'max'$"):
        Loss("mse", backend="torch", reduction="max")


def test_a_loss_of_the_program_trains_on_named_inputs() -> None:
    experiment = Experiment("exp")
    data = sensor_data()
    node = ModelNode("Net", SequentialMLP(), data.reference())
    graph = ModelGraph(nodes=[node], optimizer=Optimizer("adam", **ADAM))  # type: ignore[arg-type]
    own = Loss(lambda made, wanted, factor: (made - wanted).abs() * factor[:, :1].abs())
    inputs = {"made": "outputs", "wanted": "targets", "factor": "Sensor.features.x"}
    applied = AppliedLoss(own, node, inputs, label="own")
    assert applied.inputs == ("outputs", "targets", "Sensor.x")
    with pytest.raises(
        ValueError, match="^the inputs of loss are named `made`, `wanted`, `factor`, not"
    ):
        AppliedLoss(own, node, {"made": "outputs"})
    phase = TrainPhase.from_split("train", "train", SimpleSampler(8), [applied])
    experiment.run_phase(phase)
    assert graph.to_svg().startswith("<svg")
    assert "own: loss" in phase.to_mermaid()
