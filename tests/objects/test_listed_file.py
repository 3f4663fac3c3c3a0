"""Experiment files that list nodes and phases, and what cannot be carried over from them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torch import nn

import specplan
from specplan import (
    AppliedLoss,
    ConcatNode,
    EarlyStopping,
    EvalLossMetric,
    EvalPhase,
    Evaluation,
    Experiment,
    FeatureSet,
    InputBinding,
    Loss,
    ModelGraph,
    ModelNode,
    Optimizer,
    PhaseGroup,
    SequentialMLP,
    SimpleSampler,
    TrainPhase,
)
from specplan.data.context import active_context

if TYPE_CHECKING:
    from pathlib import Path

SENSOR = """
        ref_type: FeatureSetReference
        node_label: Sensor
        features: [features.x.raw]
        targets: [targets.y.raw]
        tags: []"""
TEXT = f"""
experiment:
  label: listed
  model_graph:
    graph_name: joined
    nodes:
    - node_name: Wide
      node_class: model
      model_class: modularml.models.torch.sequential_mlp.SequentialMLP
      model_kwargs: {{input_shape: null, output_shape: [1, 3], n_layers: 1}}
      upstream: &sensor {SENSOR}
    - node_name: Deep
      node_class: model
      model_class: modularml.models.torch.sequential_mlp.SequentialMLP
      model_kwargs: {{output_shape: [1, 2], n_layers: 3, activation: tanh}}
      frozen: true
      upstream: *sensor
    - node_name: Both
      node_class: merge
      merge_node_class: modularml.core.topology.merge_nodes.concat_node.ConcatNode
      concat_axis: -1
      target_strategy: {{type: MergeStrategy, value: first}}
      tags_strategy: {{type: none, value: -1}}
      pad_inputs: false
      upstream:
      - {{ref_type: GraphNodeReference, node_label: Wide}}
      - {{ref_type: GraphNodeReference, node_label: Deep}}
    - node_name: Head
      node_class: model
      model_class: modularml.models.torch.sequential_mlp.SequentialMLP
      model_kwargs: {{output_shape: [1, 1]}}
      upstream: {{ref_type: GraphNodeReference, node_label: Both}}
    optimizer: {{opt: sgd, opt_kwargs: {{lr: 0.05}}, backend: torch}}
  phases:
  - phase_type: train_phase
    label: train
    n_epochs: 2
    input_sources:
    - node: Wide
      featureset: *sensor
      split: train
      sampler: &batches {{sampler_name: SimpleSampler, batch_size: 9, shuffle: true, seed: 4, group_by: [], show_progress: true}}
    - {{node: Deep, featureset: *sensor, split: train, sampler: *batches}}
    losses:
    - &mse
      loss: {{loss: mse, loss_kwargs: {{}}, backend: torch, reduction: none}}
      node: Head
      inputs: {{'0': outputs, '1': targets}}
      weight: 0.5
      label: mse
    callbacks:
    - callback_type: Evaluation
      label: watch
      every_n_epochs: 1
      eval_phase:
        label: watch
        input_sources:
        - {{node: Wide, featureset: *sensor, split: test}}
        - {{node: Deep, featureset: *sensor, split: test}}
      metrics: [{{callback_type: EvalLossMetric, name: val_loss, loss: *mse}}]
    - {{callback_type: EarlyStopping, monitor: val_loss, patience: 3, label: EarlyStopping}}
    result_recording: last
  - phase_type: phase_group
    label: after
    items:
    - phase_type: eval_phase
      label: test
      batch_size: 5
      input_sources:
      - {{node: Wide, featureset: *sensor, split: test}}
      - {{node: Deep, featureset: *sensor, split: test}}
      losses: [*mse]
"""


def sensor() -> FeatureSet:
    Experiment("before")
    rng = np.random.default_rng(0)
    columns = {"x": rng.standard_normal((40, 4)), "y": rng.standard_normal((40, 1))}
    made = FeatureSet.from_dict("Sensor", columns, "x", "y")
    made.split_random({"train": 0.75, "test": 0.25}, seed=3)
    return made


def by_hand() -> Experiment:
    data = sensor()
    experiment = Experiment("listed")
    read = data.reference("x", "y")
    wide = ModelNode("Wide", SequentialMLP(output_shape=(1, 3), n_layers=1), read)
    deep = ModelNode(
        "Deep", SequentialMLP(output_shape=(1, 2), n_layers=3, activation="tanh"), read
    )
    deep.freeze()
    both = ConcatNode("Both", [wide, deep], concat_axis=-1, concat_axis_targets="first")
    head = ModelNode("Head", SequentialMLP(output_shape=(1, 1)), both)
    optimizer = Optimizer("sgd", opt_kwargs={"lr": 0.05}, backend="torch")
    ModelGraph("joined", [wide, deep, both, head], optimizer)
    loss = AppliedLoss(Loss("mse", backend="torch"), head, ["outputs", "targets"], 0.5, "mse")
    sampler = SimpleSampler(9, shuffle=True, seed=4, reshuffle=False)
    tested = [InputBinding.for_evaluation(node, None, "test") for node in (wide, deep)]
    watch = Evaluation(EvalPhase("watch", tested), metrics=[EvalLossMetric(loss)])
    train = TrainPhase(
        "train",
        input_sources=[
            InputBinding.for_training(node, sampler, None, "train") for node in (wide, deep)
        ],
        losses=[loss],
        n_epochs=2,
        callbacks=[watch, EarlyStopping(monitor="val_loss", patience=3, required=False)],
        result_recording="last",
    )
    after = PhaseGroup("after", [EvalPhase("test", tested, [loss], batch_size=5)])
    experiment.set_execution_plan([train, after])
    return experiment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "listed.yaml"
    path.write_text(TEXT)
    return path


def test_a_file_means_the_objects_that_it_lists(file: Path) -> None:
    experiment = Experiment.from_yaml(file, [sensor()])
    expected = by_hand()
    assert experiment.to_spec() == expected.to_spec()
    plan = specplan.compile(experiment.to_spec(), tables={"Sensor": sensor().table})
    assert plan.id == specplan.compile(expected.to_spec(), tables={"Sensor": sensor().table}).id


def estimator(**more: Any) -> str:
    model = "modularml.core.models.scikit_wrapper.ScikitModelWrapper"
    return f"""
experiment:
  model_graph:
    nodes:
    - node_name: Forest
      model_class: {more.get("model", model)}
      model_kwargs: {{model_class: {more.get("inner", "sklearn.ensemble._forest.RandomForestRegressor")}}}
      upstream: {SENSOR}
  phases:
  - phase_type: {more.get("phase", "fit_phase")}
    label: fit
    input_sources: [{{node: Forest, split: train, featureset: {{ref_type: FeatureSetReference, node_label: Sensor}}}}]
"""


def test_estimators_are_named_by_the_package_that_people_import(tmp_path: Path) -> None:
    path = tmp_path / "forest.yaml"
    path.write_text(estimator())
    spec = Experiment.from_yaml(path, [sensor()]).to_spec()
    use = spec["graph"]["nodes"]["Forest"]["model"]["use"]
    assert use == "sklearn.ensemble:RandomForestRegressor"
    assert [entry["phase"] for entry in spec["plan"]] == ["fit"]


class Net(nn.Sequential):
    def __init__(self, model_class: str) -> None:
        super().__init__(nn.Linear(4, len(model_class)))


def test_classes_of_the_program_are_given(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(estimator(model="nets.Net", inner="x"))
    with pytest.raises(
        ValueError, match=r"own\.yaml:6:20: `nets.Net` is code\nhint: give it: live="
    ):
        Experiment.from_yaml(path, [sensor()])
    found = Experiment.from_yaml(path, [sensor()], live={"nets.Net": Net}).model_graph
    assert found is not None
    assert list(found.nodes) == ["Forest"]


def test_everything_that_cannot_be_carried_over_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    text = estimator(inner="mine.Forest", phase="fit_phases")
    path.write_text(text + "    losses: [{loss: {loss: mine.own_loss, factory: mine.make}}]\n")
    with pytest.raises(ValueError, match="^the file cannot be carried over") as raised:
        Experiment.from_yaml(path, [sensor()])
    lines = [line for line in str(raised.value).splitlines() if not line.startswith("hint: ")]
    assert [re.sub(r"^.*:\d+:\d+: ", "", line) for line in lines[1:]] == [
        "`mine.Forest` is code",
        "`fit_phases` is not known; known: `train_phase`, `TrainPhase`, `eval_phase`, `EvalPhase`, "
        "`fit_phase`, `FitPhase`, `phase_group`",
        "a factory is code, which a file does not hold",
        "`mine.own_loss` is code",
    ]
    assert "hint: did you mean `fit_phase`?" in str(raised.value)
    path.write_text(estimator())
    before = active_context()
    with pytest.raises(ValueError, match="reads FeatureSet `Sensor`, which is not there"):
        Experiment.from_yaml(path, [])
    assert active_context() is before
