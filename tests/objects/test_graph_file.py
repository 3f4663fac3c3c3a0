"""Graphs in files: what is loaded computes what was saved, and nothing that is in the file is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from torch import nn

from specplan import (
    EvalPhase,
    Experiment,
    FeatureSet,
    FitPhase,
    ModelGraph,
    ModelNode,
    SequentialMLP,
    SimpleSampler,
    TrainPhase,
)
from specplan.archive.archive import Archive, writing
from specplan.data.context import ExperimentContext, active_context
from specplan.errors import ArchiveError
from specplan.objects.graph_file import ABOUT
from tests.objects.parts import mse, sensor_data

if TYPE_CHECKING:
    from pathlib import Path

    from tests.objects.parts import Parts

SAMPLER = SimpleSampler(batch_size=15, shuffle=True, seed=1)


def outputs(experiment: Experiment, node: str = "MLP") -> bytes:
    test = EvalPhase.from_split("test", "test", [mse(node)])
    found = experiment.run_phase(test).tensors(node, "outputs").stacked()
    return np.asarray(found).tobytes()


def trained(parts: Parts) -> Experiment:
    train = TrainPhase.from_split("train", "train", SAMPLER, [parts.loss], 2)
    parts.experiment.run_phase(train)
    return parts.experiment


def elsewhere(label: str = "other", seed: int = 42) -> Experiment:
    experiment = Experiment(label, seed=seed)
    sensor_data()
    return experiment


def test_a_loaded_graph_computes_and_trains_as_the_one_that_was_saved(
    parts: Parts, tmp_path: Path
) -> None:
    experiment = trained(parts)
    expected = outputs(experiment)
    path = parts.graph.save(tmp_path / "mine")
    assert path == tmp_path / "mine.mg.mml"
    other = elsewhere(seed=7)
    again = ModelGraph.load(path)
    assert again.is_built
    assert again.label == parts.graph.label
    assert {name: node.id for name, node in again.nodes.items()} == {"MLP": parts.node.id}
    assert other.model_graph is again
    test = EvalPhase.from_split("test", "test", [mse("MLP")])
    other.preview_phase(test)
    assert outputs(other) == expected
    for each in (experiment, other):
        each.ctx.activate()
        each.run_phase(TrainPhase.from_split("train", "train", SAMPLER, [mse("MLP")], 2))
    parts.experiment.ctx.activate()
    expected = outputs(experiment)
    other.ctx.activate()
    assert outputs(other) == expected


def test_a_preview_leaves_a_loaded_graph_as_it_was(parts: Parts, tmp_path: Path) -> None:
    expected = outputs(trained(parts))
    path = parts.graph.save(tmp_path / "mine")
    other = elsewhere()
    ModelGraph.load(path)
    other.preview_phase(TrainPhase.from_split("train", "train", SAMPLER, [mse("MLP")], 2))
    assert outputs(other) == expected


def test_a_loaded_graph_can_be_saved_before_anything_runs(parts: Parts, tmp_path: Path) -> None:
    expected = outputs(trained(parts))
    parts.graph.save(tmp_path / "one")
    with ExperimentContext().temporary():
        sensor_data()
        ModelGraph.load(tmp_path / "one.mg.mml").save(tmp_path / "two")
    other = elsewhere()
    ModelGraph.load(tmp_path / "two.mg.mml")
    assert outputs(other) == expected
    assert (tmp_path / "one.mg.mml").read_bytes() == (tmp_path / "two.mg.mml").read_bytes()


def test_fitted_estimators_and_modules_of_the_program_come_back(tmp_path: Path) -> None:
    experiment = Experiment("exp")
    cells = sensor_data()
    ridge = ModelNode("Ridge", Ridge(), cells.reference())
    net = ModelNode("Net", nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)), cells)
    graph = ModelGraph("both", nodes=[ridge, net])
    experiment.run_phase(FitPhase.from_split("fit", "train", [mse(ridge)], active_nodes=[ridge]))
    expected = [outputs(experiment, name) for name in ("Ridge", "Net")]
    path = graph.save(tmp_path / "both")
    other = Experiment("other", seed=7)
    again = ModelGraph.load(path, featuresets=[cells])
    assert again.node_labels == {"Ridge", "Net"}
    assert [outputs(other, name) for name in ("Ridge", "Net")] == expected


def test_what_a_graph_reads_has_to_be_there(parts: Parts, tmp_path: Path) -> None:
    path = parts.graph.save(tmp_path / "mine")
    Experiment("other")
    with pytest.raises(ValueError, match=r"reads FeatureSet `Sensor`; .*featuresets=\[\.\.\.\]"):
        ModelGraph.load(path)
    rows = {"x": np.zeros((3, 5)), "z": np.zeros(3)}
    FeatureSet.from_dict("Sensor", rows, "x", "z")
    with pytest.raises(ValueError, match="it has no column `targets.y.raw`; column `features.x"):
        ModelGraph.load(path)


def test_labels_that_are_taken_are_replaced_only_when_asked(parts: Parts, tmp_path: Path) -> None:
    expected = outputs(trained(parts))
    path = parts.graph.save(tmp_path / "mine")
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        parts.graph.save(tmp_path / "mine")
    assert parts.graph.save(tmp_path / "mine", overwrite=True) == path
    with pytest.raises(ValueError, match="has `MLP`, `model-graph` already; overwrite=True"):
        ModelGraph.load(path)
    again = ModelGraph.load(path, overwrite=True)
    assert parts.experiment.model_graph is again
    assert again.context.registration_policy == "raise"
    assert outputs(parts.experiment) == expected


def changed(path: Path, target: Path, **values: Any) -> Path:
    """The archive with other values in `graph.json`."""
    with Archive(path, "mg") as archive, writing(target, "mg", overwrite=True) as written:
        for name in archive.names:
            if name == ABOUT:
                written.add_json(name, archive.read_json(name, dict[str, Any]) | values)
            else:
                written.add(name, archive.read(name))
    return target


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"graph": {"nodes": 3}}, id="no graph"),
        pytest.param({"nodes": {}}, id="no ids"),
        pytest.param(
            {"graph": {"nodes": {"MLP": {"model": {"use": "mlp"}, "input": "MLP"}}}}, id="a cycle"
        ),
        pytest.param({"more": 1}, id="a field that is unknown"),
    ],
)
def test_a_file_that_does_not_hold_together_changes_nothing(
    parts: Parts, tmp_path: Path, values: dict[str, Any]
) -> None:
    path = changed(parts.graph.save(tmp_path / "mine"), tmp_path / "other.mg.mml", **values)
    with pytest.raises(ArchiveError, match=r"other\.mg\.mml"):
        ModelGraph.load(path, overwrite=True)
    assert parts.experiment.model_graph is parts.graph
    assert active_context().labels() == ["Sensor", "MLP", "model-graph"]


def test_only_code_that_the_program_knows_is_used(parts: Parts, tmp_path: Path) -> None:
    parts.graph.save(tmp_path / "mine")
    objects = {"x": {"kind": "class", "class": "antigravity:Net"}}
    path = changed(tmp_path / "mine.mg.mml", tmp_path / "other.mg.mml", objects=objects)
    with pytest.raises(ArchiveError, match="`x` cannot be loaded: .*antigravity"):
        ModelGraph.load(path, overwrite=True)
    with pytest.raises(ArchiveError, match="it is a ModelGraph, not a FeatureSet"):
        FeatureSet.load(path)


def test_a_second_experiment_on_a_context_starts_afresh(parts: Parts, tmp_path: Path) -> None:
    fresh = outputs(parts.experiment)
    trained(parts)
    path = parts.graph.save(tmp_path / "mine")
    ModelGraph.load(path, overwrite=True)
    assert outputs(parts.experiment) != fresh
    with pytest.raises(ValueError, match="has the Experiment `exp` already; overwrite=True"):
        Experiment.from_active_context("again")
    kept = Experiment.from_active_context("kept", registration_policy="overwrite")
    assert outputs(kept) != fresh
    again = Experiment.from_active_context("again", overwrite=True)
    assert outputs(again) == fresh


def test_a_checkpoint_of_a_graph_leaves_the_history_alone(parts: Parts, tmp_path: Path) -> None:
    experiment = trained(parts)
    expected = outputs(experiment)
    path = parts.graph.save_checkpoint(tmp_path / "epoch5", meta={"epoch": 5})
    assert path == tmp_path / "epoch5.ckpt.mml"
    with pytest.raises(FileExistsError):
        parts.graph.save_checkpoint(tmp_path / "epoch5")
    assert outputs(trained(parts)) != expected
    runs = len(experiment.history)
    parts.graph.restore_checkpoint(path)
    assert parts.graph.is_built
    assert outputs(experiment) == expected
    trained(parts)
    experiment.restore_checkpoint(path)
    assert len(experiment.history) == runs + 2, "only a checkpoint of an experiment knows of it"
    assert outputs(experiment) == expected
    experiment.set_checkpoint_dir(tmp_path / "whole")
    whole = experiment.save_checkpoint("whole")
    trained(parts)
    parts.graph.restore_checkpoint(whole)
    assert outputs(experiment) == expected


def test_a_graph_that_no_experiment_runs_has_checkpoints_too(tmp_path: Path) -> None:
    ExperimentContext().activate()
    node = ModelNode("MLP", SequentialMLP(output_shape=(1,)), sensor_data().reference())
    graph = ModelGraph(nodes=[node])
    path = graph.save_checkpoint(tmp_path / "begun")
    experiment = Experiment.from_active_context("later", seed=7)
    fresh = outputs(experiment)
    graph.restore_checkpoint(path)
    begun = outputs(experiment)
    assert begun != fresh
    context = ExperimentContext()
    context.activate()
    again = ModelGraph(
        nodes=[ModelNode("MLP", SequentialMLP(output_shape=(1,)), sensor_data().reference())]
    )
    again.restore_checkpoint(path)
    assert outputs(Experiment.from_active_context("last", seed=8)) == begun


def test_structure_and_state_of_a_graph_are_plain_values(parts: Parts) -> None:
    parts.graph.build()
    experiment = trained(parts)
    expected, state = outputs(experiment), parts.graph.get_state()
    assert state["is_built"]
    assert list(state["nodes"]) == ["MLP"]
    config = parts.graph.get_config()
    assert (config["label"], list(config["nodes"])) == (parts.graph.label, ["MLP"])
    assert {"nodes": config["nodes"], "optimizer": config["optimizer"]} == (
        experiment.get_config()["spec"]["graph"]
    )
    assert outputs(trained(parts)) != expected
    parts.graph.set_state(state)
    assert outputs(experiment) == expected
