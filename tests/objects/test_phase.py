from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from specplan import (
    AppliedLoss,
    EarlyStopping,
    EvalPhase,
    Evaluation,
    Experiment,
    FeatureSet,
    FitPhase,
    InputBinding,
    Loss,
    ModelGraph,
    ModelNode,
    Optimizer,
    ResultRecording,
    RunError,
    SequentialMLP,
    SimpleSampler,
    SpecError,
    TrainPhase,
)
from tests.objects.parts import Parts, mse, sensor_data


def train(parts: Parts, **changes: Any) -> TrainPhase:
    binding = InputBinding.for_training(parts.node, SimpleSampler(8), split="train")
    arguments = {"label": "train", "input_sources": [binding], "losses": [parts.loss]}
    return TrainPhase(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_epochs": 0}, "train phase `train`: n_epochs is at least 1, not 0"),
        ({"losses": None}, "train phase `train` needs at least one loss"),
        ({"losses": []}, "train phase `train` needs at least one loss"),
        ({"input_sources": []}, "phase `train` needs at least one input binding"),
        ({"label": "a/b"}, "'a/b' cannot be a label: letters, digits"),
        (
            {"result_recording": "some"},
            "result_recording is `all`, `last`, `none`, not `some`",
        ),
        ({"active_nodes": ["MPL"]}, "there is no node `MPL`; known: `MLP`; did you mean `MLP`?"),
    ],
)
def test_a_train_phase_is_checked(parts: Parts, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        train(parts, **changes)


def test_a_binding_for_evaluation_has_no_sampler_to_train_with(parts: Parts) -> None:
    binding = InputBinding.for_evaluation(parts.node, split="train")
    message = "^train phase `train`: the binding of `MLP` has no sampler; make it with InputBinding"
    with pytest.raises(ValueError, match=message):
        train(parts, input_sources=[binding])


def test_losses_of_a_phase_have_labels_of_their_own(parts: Parts) -> None:
    with pytest.raises(ValueError, match=r"^phase `train` has two losses `mse`; give each its own"):
        train(parts, losses=[parts.loss, mse(parts.node)])
    assert len(train(parts, losses=[parts.loss, mse(parts.node, "again")]).losses) == 2


def test_a_callback_is_of_a_known_kind(parts: Parts) -> None:
    with pytest.raises(
        TypeError,
        match=r"^phase `train`: a callback is `Callback`, `Evaluation`, `EarlyStopping`, `LearningRate`, `ReduceOnPlateau`, not function$",
    ):
        train(parts, callbacks=[print_nothing])


def print_nothing() -> None: ...


def test_recording_is_given_as_text_or_as_enum(parts: Parts) -> None:
    assert train(parts, result_recording="last").result_recording is ResultRecording.LAST
    assert train(parts).result_recording is ResultRecording.ALL


def test_every_head_node_needs_a_binding() -> None:
    Experiment("exp")
    source = sensor_data()
    one = ModelNode("One", SequentialMLP(), source.reference())
    two = ModelNode("Two", SequentialMLP(), source.reference())
    ModelGraph(nodes=[one, two])
    binding = InputBinding.for_evaluation(one, split="test")
    message = (
        "^phase `eval` has no input binding for the head node `Two`; it has bindings for `One`$"
    )
    with pytest.raises(ValueError, match=message):
        EvalPhase("eval", [binding])
    assert EvalPhase("eval", [binding], active_nodes=[one]).active_nodes == ["One"]
    assert len(EvalPhase.from_split("eval", "test").input_sources) == 2


def test_all_bindings_read_the_same_rows() -> None:
    Experiment("exp")
    source = sensor_data()
    one = ModelNode("One", SequentialMLP(), source.reference())
    two = ModelNode("Two", SequentialMLP(), source.reference())
    bindings = [
        InputBinding.for_evaluation(one, split="test"),
        InputBinding.for_evaluation(two, split="train"),
    ]
    with pytest.raises(
        ValueError, match=r"^phase `eval`: all bindings read one FeatureSet and one split"
    ):
        EvalPhase("eval", bindings)
    with pytest.raises(ValueError, match=r"^phase `eval` has two bindings of `One`$"):
        EvalPhase("eval", [*bindings, bindings[0]])
    samplers = [
        InputBinding.for_training(node, SimpleSampler(size), split="train")
        for node, size in ((one, 8), (two, 9))
    ]
    losses = [mse(one)]
    phase = TrainPhase("train", input_sources=samplers, losses=losses)
    assert [each["sampler"]["batch_size"] for each in phase.spec()["inputs"]] == [8, 9]
    with pytest.raises(
        ValueError, match=r"^train phase `train`: batch_schedule is `zip_strict`, `"
    ):
        TrainPhase("train", input_sources=samplers, losses=losses, batch_schedule="zip")


def test_from_split_needs_heads_that_read_one_feature_set() -> None:
    Experiment("exp")
    with pytest.raises(ValueError, match=r"^phase `eval`: the active context has no ModelGraph"):
        EvalPhase.from_split("eval", "test")
    one = ModelNode("One", SequentialMLP(), sensor_data().reference())
    other = FeatureSet.from_dict("Other", {"x": [1.0], "y": [1.0]}, "x", "y")
    two = ModelNode("Two", SequentialMLP(), other.reference())
    ModelGraph(nodes=[one, two])
    with pytest.raises(
        ValueError, match=r"^phase `eval`: the head nodes read several FeatureSets, `Sensor`"
    ):
        EvalPhase.from_split("eval", "test")
    assert EvalPhase.from_split("eval", "test", active_nodes=["One"]).feature_set.label == "Sensor"


def test_an_eval_phase_reads_its_split_whole_or_in_batches(parts: Parts) -> None:
    with pytest.raises(ValueError, match=r"^eval phase `eval`: batch_size is at least 1, not 0$"):
        EvalPhase.from_split("eval", "test", batch_size=0)
    for size, batches in ((None, 1), (4, 4)):
        phase = EvalPhase.from_split("eval", "test", [parts.loss], batch_size=size)
        results = parts.experiment.run_phase(phase)
        assert len(results.execution_contexts()) == batches
        assert results.tensors("MLP").stacked().shape == (15, 1)
        assert len(results.losses("MLP")) == batches


def test_a_fit_phase_fits_as_scikit_learn_does() -> None:
    experiment = Experiment("exp")
    source = sensor_data()
    node = ModelNode("Linear", LinearRegression(), source.reference())
    graph = ModelGraph(nodes=[node])
    graph.build()
    fitted = experiment.run_phase(FitPhase.from_split("fit", "train", [mse(node)]))
    results = experiment.run_phase(EvalPhase.from_split("eval", "test"))
    context = results.execution_contexts().one()
    trained = fitted.tensors("Linear", "sample_ids").stacked()
    x, y = source.columns["x"], source.columns["y"]
    by_hand = LinearRegression().fit(x[trained], y[trained, 0]).predict(x[context.sample_ids])
    np.testing.assert_allclose(context.outputs["Linear"].reshape(-1), by_hand, rtol=1e-6)


def test_a_node_must_be_fitted_before_it_is_read() -> None:
    experiment = Experiment("exp")
    node = ModelNode("Linear", LinearRegression(), sensor_data().reference())
    ModelGraph(nodes=[node], optimizer=Optimizer("sgd", backend="torch"))
    evaluate = EvalPhase.from_split("eval", "test")
    fit = FitPhase.from_split("fit", "train")
    with pytest.raises(SpecError, match="this phase reads Linear before any fit phase fits it"):
        experiment.run_phase(evaluate)
    experiment.preview_phase(fit)
    with pytest.raises(SpecError, match="this phase reads Linear before any fit phase fits it"):
        experiment.run_phase(evaluate)
    experiment.run_phase(fit)
    experiment.run_phase(evaluate)
    phase = TrainPhase.from_split("train", "train", SimpleSampler(8), [mse(node)])
    with pytest.raises(SpecError, match="hint: use a fit phase"):
        experiment.run_phase(phase)


def test_the_outputs_of_all_nodes_are_recorded() -> None:
    experiment = Experiment("exp")
    data = sensor_data()
    enc = ModelNode("Enc", SequentialMLP(output_shape=(2,)), data.reference("x", []))
    dec = ModelNode("Dec", SequentialMLP(output_shape=(4,)), enc)
    ModelGraph(nodes=[enc, dec], optimizer=Optimizer("adam", backend="torch")).build()
    loss = AppliedLoss(Loss("mse", backend="torch"), dec, ["outputs", "Sensor.x"])
    evaluation = Evaluation.from_split("val", "test", [loss])
    sampler = SimpleSampler(15)
    fit = TrainPhase.from_split("fit", "train", sampler, [loss], callbacks=[evaluation])
    trained = experiment.run_phase(fit)
    assert trained.tensors("Enc", "outputs")[0, 0].shape == (15, 2)
    between = trained.callbacks(kind="evaluation").one()
    assert between.tensors("Enc", "outputs").one().shape == (15, 2)
    test = EvalPhase.from_split("all", "test", [loss])
    assert experiment.run_phase(test).tensors("Enc", "outputs").one().shape == (15, 2)
    judged = EvalPhase.from_split("judged", "test", [loss], record_nodes="judged")
    with pytest.raises(RunError, match=r"`Enc.outputs` is not recorded in phase `judged`"):
        experiment.run_phase(judged).tensors("Enc", "outputs")
    experiment.execution_plan.add_phase(fit).add_phase(judged)
    assert Experiment.from_spec(experiment.to_spec(), [data]).to_spec() == experiment.to_spec()
    with pytest.raises(ValueError, match="^phase `a`: record_nodes is `judged`, `all`, not 'b'$"):
        EvalPhase.from_split("a", "test", record_nodes="b")  # type: ignore[arg-type]


def test_phases_show_themselves(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    train(parts, n_epochs=3).visualize()
    assert capsys.readouterr().out == (
        "flowchart LR\n"
        '    subgraph in_train__3_epochs["train: 3 epochs"]\n'
        '        Sensor__train[("Sensor: train")]\n'
        '        MLP["MLP"]\n'
        '        loss__mse{{"mse: mse"}}\n'
        "    end\n"
        '    Sensor__train -- "SimpleSampler(batch_size=8)" --> MLP\n'
        '    MLP -- "outputs, targets" --> loss__mse\n'
    )
    FitPhase.from_split("fit", "train").visualize()
    EvalPhase.from_split("eval", "test").visualize()
    shown = capsys.readouterr().out
    assert 'subgraph in_fit["fit"]' in shown
    assert 'subgraph in_eval["eval"]' in shown
    assert repr(train(parts)) == "TrainPhase(label='train', split='train')"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_epochs": 2.5}, "train phase `train`: n_epochs is an int, not float"),
        ({"losses": mse}, "phase `train`: losses is a list, not function"),
        ({"losses": [mse]}, "phase `train`: a loss is an AppliedLoss, not function"),
        ({"input_sources": "MLP"}, "phase `train`: input_sources is a list, not str"),
        ({"active_nodes": "MLP"}, "phase `train`: active_nodes is a list, not str"),
        (
            {"callbacks": EarlyStopping()},
            "phase `train`: callbacks is a list, not EarlyStopping",
        ),
    ],
)
def test_an_argument_of_another_type_is_named(
    parts: Parts, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        train(parts, **changes)


def test_early_stopping_is_checked_by_its_phase(parts: Parts) -> None:
    with pytest.raises(ValueError, match=r"^callback `early_stopping`: `patience`: Expected `int`"):
        train(parts, callbacks=[EarlyStopping(patience=0)])
    assert train(parts, callbacks=None).callbacks == []


def test_a_phase_of_a_replaced_feature_set_does_not_run(parts: Parts) -> None:
    old = train(parts)
    parts.experiment.ctx.registration_policy = "overwrite"
    node = ModelNode("MLP", SequentialMLP(), sensor_data())
    ModelGraph(nodes=[node], optimizer=Optimizer("adam", backend="torch"))
    with pytest.raises(ValueError, match=r"^phase `train` reads another FeatureSet `Sensor` than"):
        parts.experiment.run_phase(old)
