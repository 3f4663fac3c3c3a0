"""Experiments in files: what goes on after loading goes on with equal bits."""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING, Any, cast

import duckdb
import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from specplan import (
    Callback,
    Checkpointing,
    EarlyStopping,
    EvalPhase,
    Evaluation,
    Experiment,
    ExperimentCallback,
    FeatureSet,
    FitPhase,
    InputBinding,
    ModelGraph,
    ModelNode,
    Optimizer,
    PhaseGroup,
    ResultsConfig,
    SimpleSampler,
    TrainPhase,
)
from specplan.archive.archive import Archive, writing
from specplan.errors import ArchiveError
from specplan.models.torch.wrapper import held_module
from tests.objects.parts import mse, sensor_data

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.objects.phase_results import PhaseResults
    from tests.objects.parts import Parts

SAMPLER = SimpleSampler(batch_size=15, shuffle=True, seed=1)


class Net(nn.Module):
    def __init__(self, width: int, drop: float = 0.1) -> None:
        super().__init__()
        self.width, self.drop = width, drop
        self.layers = nn.Sequential(
            nn.Linear(4, width), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x)
        return out


class Forgetful(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(4, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(x)
        return out


class Count(ExperimentCallback):
    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.start = start


class Quiet(Callback):
    def __init__(self, words: list[str]) -> None:
        super().__init__()
        self.words = words


def bits(results: PhaseResults) -> list[bytes]:
    rows = results.run.metrics(phase=results.path).arrow
    outputs = results.tensors("MLP", "outputs")
    return [rows.column("value").to_numpy().tobytes(), *(b.tobytes() for b in outputs.values())]


def planned(parts: Parts, **arguments: Any) -> Experiment:
    train = TrainPhase.from_split("train", "train", SAMPLER, [parts.loss], 2, **arguments)
    test = EvalPhase.from_split("test", "test", [parts.loss], batch_size=5)
    parts.experiment.execution_plan.add_group(PhaseGroup("inner", [train])).add_phase(test)
    return parts.experiment


def loaded(path: Path, **arguments: Any) -> Experiment:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Experiment.load(path, **arguments)


def test_a_loaded_experiment_goes_on_with_equal_bits(parts: Parts, tmp_path: Path) -> None:
    experiment = planned(parts)
    experiment.run()
    path = experiment.save(tmp_path / "mine")
    assert path == tmp_path / "mine.exp.mml"
    again, twice = loaded(path), loaded(path)
    assert again.to_spec() == experiment.to_spec()
    assert again.get_config() == experiment.get_config()
    assert again.get_state()["model"] == experiment.get_state()["model"]
    expected = [bits(results) for results in experiment.run().flatten().values()]
    for other in (again, twice):
        assert [bits(results) for results in other.run().flatten().values()] == expected


def test_the_history_comes_back_with_its_results(parts: Parts, tmp_path: Path) -> None:
    experiment = planned(parts)
    experiment.run()
    experiment.run_phase(experiment.execution_plan.get_phase("test"))
    experiment.run_group(experiment.execution_plan.get_group("inner"))
    again = loaded(experiment.save(tmp_path / "mine"))
    assert repr(again.history) == repr(experiment.history)
    for run, before in zip(again.history, experiment.history, strict=True):
        assert run.run is not None
        assert before.run is not None
        assert run.run.folder != before.run.folder
        assert type(run.results) is type(before.results)
    whole, phase, group = (cast("Any", run.results) for run in again.history)
    kept: list[Any] = [run.results for run in experiment.history]
    assert bits(whole["inner.train"]) == bits(kept[0]["inner.train"])
    assert bits(phase) == bits(kept[1])
    assert bits(group["train"]) == bits(kept[2]["train"])


def test_runs_and_checkpoints_go_where_they_are_told_to(parts: Parts, tmp_path: Path) -> None:
    experiment = planned(parts)
    experiment.run()
    experiment.set_checkpoint_dir(tmp_path / "before")
    experiment.save_checkpoint("one")
    expected = experiment.get_state()["model"]
    experiment.run()
    path = experiment.save(tmp_path / "mine")
    arguments = {"checkpoint_dir": tmp_path / "checkpoints", "results_dir": tmp_path / "results"}
    again = loaded(path, **arguments)
    assert [run.run.folder.path.parent.parent for run in again.history if run.run] == [
        tmp_path / "results"
    ] * 2
    again.restore_checkpoint("one")
    assert again.get_state()["model"] == expected
    again.run()
    assert again.last_run is not None
    assert again.last_run.run is not None
    assert again.last_run.run.folder.path.is_relative_to(tmp_path / "results")
    loaded(path, **arguments)
    (tmp_path / "checkpoints/one.ckpt.mml").write_bytes(b"other")
    with pytest.raises(FileExistsError, match="is there already, and is another one"):
        loaded(path, **arguments)
    with pytest.warns(
        UserWarning, match="checkpoints stay in .*; checkpoint_dir=... extracts them"
    ):
        Experiment.load(path)


def test_directories_of_a_file_are_not_written_to(parts: Parts, tmp_path: Path) -> None:
    parts.experiment.set_checkpointing(
        Checkpointing(mode="disk", save_on="phase_end", directory=tmp_path / "theirs")
    )
    own = Checkpointing(mode="disk", directory=tmp_path / "theirs")
    experiment = planned(parts, checkpointing=own)
    again = loaded(experiment.save(tmp_path / "mine"))
    with pytest.raises(RuntimeError, match="has no directory for checkpoints"):
        again.run()
    again.set_checkpoint_dir(tmp_path / "ours")
    again.run()
    assert not (tmp_path / "theirs").exists()
    assert sorted(path.name for path in (tmp_path / "ours").rglob("*.mml")) == [
        *("test.ckpt.mml", "train.ckpt.mml", "train_epoch0.ckpt.mml", "train_epoch1.ckpt.mml"),
    ]


def test_loading_leaves_the_experiment_that_saved_alone(parts: Parts, tmp_path: Path) -> None:
    experiment = planned(parts)
    path = experiment.save(tmp_path / "mine")
    again = Experiment.load(path)
    assert again.model_graph is not experiment.model_graph is parts.graph
    assert again.ctx is not experiment.ctx
    TrainPhase.from_split("more", "train", SAMPLER, [parts.loss])
    with pytest.warns(UserWarning, match="it replaces `Sensor`, `MLP`, `model-graph`"):
        again = Experiment.load(path, overwrite=True)
    assert Experiment.from_active_context("new", overwrite=True).model_graph is again.model_graph


def test_a_file_is_replaced_only_when_asked(parts: Parts, tmp_path: Path) -> None:
    path = parts.experiment.save(tmp_path / "mine")
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        parts.experiment.save(tmp_path / "mine")
    assert parts.experiment.save(tmp_path / "mine", overwrite=True) == path
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Experiment.load(tmp_path / "none.exp.mml")
    with pytest.raises(ArchiveError, match="it is an Experiment, not a FeatureSet"):
        FeatureSet.load(path)


def test_an_empty_experiment_can_be_saved(tmp_path: Path) -> None:
    again = Experiment.load(Experiment("empty", seed=7).save(tmp_path / "empty"))
    assert (again.label, again.seed, again.model_graph) == ("empty", 7, None)
    assert len(again.execution_plan.all) == len(again.history) == 0


def test_callbacks_of_phases_and_experiments_come_back(parts: Parts, tmp_path: Path) -> None:
    evaluation = Evaluation(EvalPhase.from_split("val", "test", [parts.loss]), name="val")
    stopping = EarlyStopping(monitor="val_loss", patience=1, restore_best=True)
    experiment = planned(parts, callbacks=[evaluation, stopping, Quiet(["a"])])
    experiment.add_callback(Count(3))
    again = loaded(experiment.save(tmp_path / "mine"))
    assert again.to_spec() == experiment.to_spec()
    (count,) = again.exp_callbacks
    assert isinstance(count, Count)
    assert count.start == 3
    quiet = again.execution_plan.get_group("inner").get_train_phase("train").callbacks[2]
    assert isinstance(quiet, Quiet)
    assert quiet.words == ["a"]
    expected = [bits(results) for results in experiment.run().flatten().values()]
    assert [bits(results) for results in again.run().flatten().values()] == expected


class Running(Callback):
    """Counts batches, and keeps the last outputs."""

    def __init__(self) -> None:
        super().__init__("running")
        self.batches, self.last = 0, torch.zeros(0)

    def on_batch_end(self, exec_ctx: Any) -> None:  # type: ignore[override]
        self.batches += 1
        self.last = torch.from_numpy(np.array(exec_ctx.outputs["MLP"]))

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches, "last": self.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches, self.last = state["batches"], state["last"]


class Phases(ExperimentCallback):
    """Counts phases."""

    ended = 0

    def on_phase_end(self) -> None:  # type: ignore[override]
        self.ended += 1

    def state_dict(self) -> dict[str, Any]:
        return {"ended": self.ended}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.ended = state["ended"]


def test_a_callback_of_several_phases_is_one_object_afterwards(
    parts: Parts, tmp_path: Path
) -> None:
    experiment, running = planned(parts), Running()
    for phase in experiment.execution_plan.flatten():
        phase.add_callback(running)
    path = experiment.save(tmp_path / "mine")
    again = loaded(path)
    found = [phase.callbacks[-1] for phase in again.execution_plan.flatten()]
    assert len(found) > 1
    assert isinstance(found[0], Running)
    assert all(each is found[0] for each in found)
    config = again.get_config()
    config["objects"]["train-running"] = {"same": "nobody"}
    with pytest.raises(ArchiveError, match="is to be the same object as `nobody`"):
        Experiment.from_config(config)


def test_what_callbacks_keep_is_in_checkpoints_and_files(parts: Parts, tmp_path: Path) -> None:
    running, phases = Running(), Phases()
    experiment = planned(parts, callbacks=[running])
    experiment.add_callback(phases)
    experiment.set_checkpoint_dir(tmp_path)
    experiment.run()
    batches, ended, last = running.batches, phases.ended, running.last.clone()
    assert batches > 0 < ended
    state = experiment.get_state()
    experiment.save_checkpoint("one")
    path = experiment.save(tmp_path / "mine")
    experiment.run()
    assert (running.batches, phases.ended) == (2 * batches, 2 * ended)
    experiment.preview_run()
    assert (running.batches, phases.ended) == (2 * batches, 2 * ended)
    experiment.restore_checkpoint("one")
    assert (running.batches, phases.ended) == (batches, ended)
    assert torch.equal(running.last, last)
    experiment.run()
    experiment.set_state(state)
    assert (running.batches, phases.ended) == (batches, ended)
    again = loaded(path)
    found = again.execution_plan.get_group("inner").get_train_phase("train").callbacks[0]
    assert isinstance(found, Running)
    assert found.batches == batches
    assert torch.equal(found.last, last)
    (counts,) = again.exp_callbacks
    assert isinstance(counts, Phases)
    assert counts.ended == ended


def test_other_programs_read_what_was_saved(parts: Parts, tmp_path: Path) -> None:
    experiment = planned(parts)
    experiment.run()
    with zipfile.ZipFile(experiment.save(tmp_path / "mine")) as file:
        file.extractall(tmp_path / "out")
    rows = pl.read_ipc(tmp_path / "out/featuresets/Sensor/rows.arrow")
    assert rows["targets.y.raw"].len() == len(parts.feature_set)
    (metrics,) = (tmp_path / "out/runs").glob("*/*/tables/metrics.parquet")
    asked = f"select value from '{metrics}' where name = 'eval_loss' and batch is null"
    found = duckdb.execute(asked).fetchall()
    whole = pl.read_parquet(metrics).filter(
        pl.col("name") == "eval_loss", pl.col("batch").is_null()
    )
    assert found == [(whole["value"].item(),)]


def test_a_prefix_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Experiment(prefix="me/project/soh", tags=["a"]).save(tmp_path / "mine")
    again = Experiment.load(path)
    assert (again.label, again.prefix, again.tags) == ("soh", "me/project/soh", {"a": None})


def test_a_graph_is_built_when_it_is_loaded(parts: Parts, tmp_path: Path) -> None:
    again = loaded(parts.experiment.save(tmp_path / "mine"))
    assert repr(again.model_graph) == "ModelGraph(label='model-graph', nodes=['MLP'], built)"


@pytest.mark.parametrize(
    "model",
    [
        Net(6, drop=0.2),
        nn.Sequential(nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 1)),
    ],
    ids=["own", "built in"],
)
def test_modules_of_the_program_come_back_with_their_weights(
    model: nn.Module, tmp_path: Path
) -> None:
    experiment = Experiment("exp")
    node = ModelNode("MLP", model, sensor_data().reference())
    ModelGraph(nodes=[node], optimizer=Optimizer("adam", backend="torch"))
    phase = TrainPhase.from_split("train", "train", SAMPLER, [mse(node)], 2)
    experiment.execution_plan.add_phase(phase)
    experiment.run()
    again = loaded(experiment.save(tmp_path / "mine"))
    assert again.model_graph is not None
    made = held_module(again.model_graph.nodes["MLP"].model)  # type: ignore[attr-defined]
    assert isinstance(made, nn.Module)
    assert repr(made) == repr(model)
    for name, value in model.state_dict().items():
        assert torch.equal(made.state_dict()[name], value)
    assert bits(again.run()["train"]) == bits(experiment.run()["train"])


def test_what_cannot_be_stored_is_refused_with_the_reason(parts: Parts, tmp_path: Path) -> None:
    class Local(ExperimentCallback):
        pass

    parts.experiment.add_callback(Local())
    with pytest.raises(ValueError, match="is not found in module .*; define it at the top"):
        parts.experiment.save(tmp_path / "mine")
    other = Experiment("other")
    ModelGraph(nodes=[ModelNode("MLP", Forgetful(1), sensor_data().reference())])
    with pytest.raises(ValueError, match="does not keep its argument `size` in an attribute"):
        other.save(tmp_path / "mine")
    assert "refused" in other.get_config()["objects"]["MLP"]
    third = Experiment("third", callbacks=[Count(start=cast("Any", nn.Linear(1, 1)))])
    with pytest.raises(
        ValueError, match="has the argument `start`, a Linear, which cannot be stored"
    ):
        third.save(tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_code_that_is_not_imported_is_not_imported_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Experiment("exp", callbacks=[Count(3)]).save(tmp_path / "mine")
    with Archive(path, "exp") as archive:
        contents = {name: archive.read(name) for name in archive.names}
    canary = tmp_path / "canary"
    (tmp_path / "stranger.py").write_text(
        f"from pathlib import Path\nPath({str(canary)!r}).touch()\n"
        "from specplan import ExperimentCallback\n"
        "class Count(ExperimentCallback):\n"
        "    def __init__(self, start):\n        super().__init__()\n        self.start = start\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = f"{Count.__module__}:Count".encode()
    for name, said in {
        b"stranger:Count": "import it, or pass allow_packaged_code=True",
        b"subprocess:Popen": "is no class of ExperimentCallback here",
        b"os:system": "is no class of ExperimentCallback here",
    }.items():
        with writing(path, "exp", overwrite=True) as writer:
            for each, content in contents.items():
                writer.add(each, content.replace(own, name))
        with pytest.raises(ArchiveError, match=said):
            Experiment.load(path)
        assert not canary.exists()
    with writing(path, "exp", overwrite=True) as writer:
        for each, content in contents.items():
            writer.add(each, content.replace(own, b"stranger:Count"))
    again = Experiment.load(path, allow_packaged_code=True)
    assert canary.exists()
    assert type(again.exp_callbacks[0]).__module__ == "stranger"


def test_a_slim_file_takes_its_rows_from_elsewhere(parts: Parts, tmp_path: Path) -> None:
    experiment = planned(parts)
    experiment.run()
    feature_sets = parts.feature_set.save(tmp_path / "sensor")
    whole = experiment.save(tmp_path / "whole")
    path = experiment.save(tmp_path / "slim", include_featuresets=False)
    with Archive(whole, "exp") as large, Archive(path, "exp") as small:
        assert set(large.names) - set(small.names) == {"featuresets/Sensor/rows.arrow"}
    with pytest.raises(ValueError, match="saved without the rows of FeatureSet `Sensor`; give it"):
        loaded(path)
    expected = [bits(results) for results in experiment.run().flatten().values()]
    for given in (feature_sets, str(feature_sets)):
        again = loaded(path, featuresets=[given])
        assert again.featureset is not None
        assert again.featureset.id == parts.feature_set.id
        assert [bits(results) for results in again.run().flatten().values()] == expected


def test_a_feature_set_that_does_not_fit_is_refused_with_the_reason(
    parts: Parts, tmp_path: Path
) -> None:
    path = parts.experiment.save(tmp_path / "slim", include_featuresets=False)
    Experiment("elsewhere")
    other = FeatureSet.from_dict("Sensor", {"x": np.zeros((50, 4)), "y": np.zeros(50)}, "x", "y")
    other.split_random({"train": 0.5, "val": 0.5}, seed=1)
    with pytest.raises(
        ValueError, match="FeatureSet `Sensor` is not the one that .* with: "
    ) as refused:
        loaded(path, featuresets=[other])
    for reason in (
        "column `targets.y.raw` has rows of shape (), not (1,)",
        "it has 50 rows, not 60",
        "its splits are `train`, `val`, not `train`, `test`",
    ):
        assert reason in str(refused.value)
    stranger = FeatureSet.from_dict("Stranger", {"x": [1.0], "y": [1.0]}, "x", "y")
    with pytest.raises(ValueError, match="has no FeatureSet `Stranger`; it has: `Sensor`"):
        loaded(path, featuresets=[sensor_data_of(path), stranger])


def sensor_data_of(_path: Path) -> FeatureSet:
    Experiment("fresh")
    return sensor_data()


def test_config_and_state_are_a_whole_experiment(parts: Parts) -> None:
    experiment = planned(parts)
    experiment.run()
    config, state = experiment.get_config(), experiment.get_state()
    again = Experiment.from_config(config)
    assert again.get_config() == config
    assert again.model_graph is parts.graph
    again.set_state(state)
    assert again.get_state() == state
    expected = [bits(results) for results in experiment.run().flatten().values()]
    assert [bits(results) for results in again.run().flatten().values()] == expected
    experiment.set_state(state)
    assert experiment.get_state() == state
    assert len(experiment.history) == 1


def test_fitted_estimators_come_back(tmp_path: Path) -> None:
    from sklearn.linear_model import Ridge

    experiment = Experiment("exp")
    data = sensor_data()
    node = ModelNode("MLP", Ridge(alpha=0.5), data.reference())
    ModelGraph(nodes=[node])
    experiment.execution_plan.add_phase(FitPhase.from_split("fit", "train"))
    experiment.run()
    again = loaded(experiment.save(tmp_path / "mine"))
    assert again.to_spec() == experiment.to_spec()
    phases = [EvalPhase.from_split("test", "test")]
    expected = bits(experiment.run_phase(phases[0]))
    again.ctx.activate()
    assert bits(again.run_phase(EvalPhase.from_split("test", "test"))) == expected


def test_results_that_lie_elsewhere_are_in_the_file(parts: Parts, tmp_path: Path) -> None:
    config = ResultsConfig(results_dir=tmp_path / "runs", execution=tmp_path / "records")
    experiment = Experiment.from_active_context("exp", results_config=config, overwrite=True)
    phase = TrainPhase.from_split("train", "train", SAMPLER, [parts.loss])
    before = bits(experiment.run_phase(phase))
    again = loaded(experiment.save(tmp_path / "mine"))
    assert again.last_run is not None
    assert bits(again.last_run.results) == before  # type: ignore[arg-type]


def test_samplers_and_inputs_of_every_kind_come_back(tmp_path: Path) -> None:
    experiment = Experiment("exp")
    first, second = sensor_data(), sensor_data_named("Second")
    nodes = [ModelNode("A", Net(3), first.reference()), ModelNode("B", Net(2), second.reference())]
    ModelGraph(nodes=nodes, optimizer=Optimizer("sgd", backend="torch"))
    samplers = [SimpleSampler(batch_size=15, seed=3, shuffle=True), SimpleSampler(batch_size=15)]
    sources = [
        InputBinding.for_training(node, sampler, split="train", stream=f"s{node.label}")
        for node, sampler in zip(nodes, samplers, strict=True)
    ]
    losses = [mse(node, label=f"mse_{node.label}") for node in nodes]
    phase = TrainPhase("train", input_sources=sources, losses=losses, batch_schedule="zip_cycle")
    experiment.execution_plan.add_phase(phase)
    again = loaded(experiment.save(tmp_path / "mine"))
    assert again.to_spec() == experiment.to_spec()
    first_run, second_run = (each.run().flatten()["train"] for each in (experiment, again))
    for node in ("A", "B"):
        outputs = [results.tensors(node, "outputs") for results in (first_run, second_run)]
        assert [b.tobytes() for b in outputs[0].values()] == [
            b.tobytes() for b in outputs[1].values()
        ]


def sensor_data_named(label: str) -> FeatureSet:
    rng = np.random.default_rng(9)
    data = {"x": rng.standard_normal((60, 4)), "y": rng.standard_normal((60, 1))}
    feature_set = FeatureSet.from_dict(label, data, "x", "y")
    feature_set.split_random({"train": 0.75, "test": 0.25}, seed=5)
    return feature_set
