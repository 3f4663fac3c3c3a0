"""Specs and objects are two views: what one says the other says again."""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import specplan
from specplan import (
    EarlyStopping,
    EvalPhase,
    Evaluation,
    Experiment,
    FeatureSet,
    FitPhase,
    ModelGraph,
    ModelNode,
    Optimizer,
    OwnSampler,
    PhaseGroup,
    SequentialMLP,
    SimpleSampler,
    TrainPhase,
)
from specplan.data.context import active_context
from specplan.errors import SpecError
from tests.objects.parts import mse, sensor_data

if TYPE_CHECKING:
    from specplan.objects.phase import Phase

MODELS = st.one_of(
    st.builds(SequentialMLP, hidden_dim=st.integers(1, 9), dropout=st.sampled_from([0.0, 0.5])),
    st.builds(
        SequentialMLP, n_layers=st.integers(1, 3), activation=st.sampled_from(["gelu", "tanh"])
    ),
)
OPTIMIZERS = st.builds(
    lambda name, lr, norm, value: Optimizer(
        name, opt_kwargs={"lr": lr}, backend="torch", clip_norm=norm, clip_value=value
    ),
    st.sampled_from(["adam", "adamw", "sgd", "rmsprop"]),
    st.floats(1e-4, 1.0),
    st.none() | st.just(1.5),
    st.none() | st.just(0.5),
)
SAMPLERS = st.builds(
    SimpleSampler,
    batch_size=st.integers(1, 20),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    seed=st.none() | st.integers(0, 9),
    reshuffle=st.booleans(),
)


@st.composite
def experiments(draw: st.DrawFn) -> tuple[Experiment, FeatureSet]:
    experiment = Experiment("exp", seed=draw(st.integers(0, 99)))
    feature_set = sensor_data()
    first = ModelNode("First", draw(MODELS), feature_set.reference())
    nodes = [first]
    if draw(st.booleans()):
        nodes.append(ModelNode("Second", SequentialMLP(hidden_dim=2), first))
    ModelGraph("graph", nodes=nodes, optimizer=draw(OPTIMIZERS))
    loss = mse(nodes[-1], label=draw(st.sampled_from(["mse", "own"])))
    val = EvalPhase.from_split("val", "test", [loss])
    callbacks: list[Any] = []
    if draw(st.booleans()):
        callbacks = [Evaluation(val, name="val"), EarlyStopping(monitor="val_loss", patience=2)]

    def phase(number: int) -> Phase:
        if draw(st.booleans()):
            return EvalPhase.from_split(
                f"p{number}", "test", [loss], batch_size=draw(st.none() | st.just(7))
            )
        return TrainPhase.from_split(
            f"p{number}",
            "train",
            draw(SAMPLERS),
            [loss],
            draw(st.integers(1, 3)),
            accumulate=draw(st.integers(1, 2)),
            callbacks=callbacks,
            result_recording=draw(st.sampled_from(["all", "last", "none"])),
        )

    group = PhaseGroup("group", [phase(number) for number in range(draw(st.integers(1, 2)))])
    experiment.execution_plan.add_phase(phase(3)).add_group(group)
    return experiment, feature_set


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(experiments())
def test_objects_of_a_spec_mean_the_spec(made: tuple[Experiment, FeatureSet]) -> None:
    experiment, feature_set = made
    spec = experiment.to_spec()
    again = Experiment.from_spec(spec, [feature_set])
    assert again.to_spec() == spec
    with TemporaryDirectory() as folder:
        written = experiment.to_yaml(Path(folder) / "experiment.yaml")
        assert Experiment.from_yaml(written, [feature_set]).to_spec() == spec
    tables = {feature_set.label: feature_set.table}
    assert (
        specplan.compile(again.to_spec(), tables=tables).id
        == specplan.compile(spec, tables=tables).id
    )


def test_scikit_learn_is_made_again() -> None:
    from sklearn.ensemble import RandomForestRegressor

    experiment = Experiment("exp")
    feature_set = sensor_data()
    forest = RandomForestRegressor(n_estimators=3, max_depth=2, random_state=1)
    node = ModelNode("Forest", forest, feature_set.reference())
    ModelGraph(nodes=[node])
    fit = FitPhase.from_split("fit", "train", freeze_after_fit=False)
    experiment.execution_plan.add_phase(fit)
    spec = experiment.to_spec()
    assert Experiment.from_spec(spec, [feature_set]).to_spec() == spec


def by_size(rows: int, _epoch: int, generator: np.random.Generator, columns: Any) -> Any:
    """Batches of rows of one size, which come in any order."""
    batches = np.split(np.argsort(columns["x"][:, 0]), range(9, rows, 9))
    return [batches[number] for number in generator.permutation(len(batches))]


def test_a_function_of_the_program_makes_the_batches(tmp_path: Path) -> None:
    experiment = Experiment("exp")
    feature_set = sensor_data()
    node = ModelNode("MLP", SequentialMLP(), feature_set.reference())
    ModelGraph(nodes=[node], optimizer=Optimizer("sgd", backend="torch"))
    sampler = OwnSampler(by_size, columns="features.x")
    experiment.execution_plan.add_phase(
        TrainPhase.from_split("train", "train", sampler, [mse(node)])
    )
    spec = experiment.to_spec()
    assert spec["plan"][0]["sampler"] == {"use": "live:by_size", "columns": ["x"]}
    results = experiment.run()
    assert results is not None
    with pytest.raises(ValueError, match="the object `live:by_size` was not given; given: none"):
        Experiment.from_spec(spec, [feature_set])
    again = Experiment.from_spec(spec, [feature_set], live={"by_size": by_size})
    assert again.to_spec() == spec
    own = {**spec["plan"][0], "sampler": {"use": "./draws.py:by_size"}}
    with pytest.raises(ValueError, match="or bind the object as `live:NAME`"):
        Experiment.from_spec({**spec, "plan": [own]}, [feature_set])
    with pytest.raises(
        ValueError,
        match=r"`by_size` of Experiment `exp` cannot be saved: it is a function, which cannot be stored without pickle",
    ):
        experiment.save(tmp_path / "exp")


def test_two_functions_of_one_name_are_told_apart() -> None:
    def other() -> Any:
        def by_size(rows: int, _epoch: int, _generator: Any) -> Any:
            return [range(rows)]

        return by_size

    experiment = Experiment("exp")
    node = ModelNode("MLP", SequentialMLP(), sensor_data().reference())
    ModelGraph(nodes=[node], optimizer=Optimizer("sgd", backend="torch"))
    first, second = OwnSampler(other()), OwnSampler(other())
    assert first == OwnSampler(first.live) != second
    assert (repr(first), first.describe()) == ("OwnSampler(by_size)", "OwnSampler(by_size)")
    for label, sampler in (("a", first), ("b", second)):
        phase = TrainPhase.from_split(label, "train", sampler, [mse(node)])
        experiment.execution_plan.add_phase(phase)
    with pytest.raises(ValueError, match="a sampler of phase `b` has the name `by_size`"):
        experiment.run()
    with pytest.raises(
        ValueError, match=r"'<lambda>' is no name of a sampler; give it one by `name`"
    ):
        OwnSampler(lambda rows, _epoch, _generator: [range(rows)])
    with pytest.raises(TypeError, match="a sampler is a function or can be called, not int"):
        OwnSampler(3)  # type: ignore[arg-type]


def test_what_is_missing_or_has_no_object_is_said() -> None:
    experiment = Experiment("exp")
    feature_set = sensor_data()
    node = ModelNode("MLP", SequentialMLP(), feature_set.reference())
    ModelGraph(nodes=[node], optimizer=Optimizer("sgd", backend="torch"))
    experiment.execution_plan.add_phase(EvalPhase.from_split("test", "test", [mse(node)]))
    spec = experiment.to_spec()
    with pytest.raises(ValueError, match="FeatureSet `Sensor`, which was not given; given: none"):
        Experiment.from_spec(spec)
    changed = {**spec, "plan": [{"repeat": {"max": 2}, "do": spec["plan"]}]}
    with pytest.raises(ValueError, match="cannot be said by an object of Python"):
        Experiment.from_spec(changed, [feature_set])
    nodes = {"MLP": {**spec["graph"]["nodes"]["MLP"], "model": {"use": "live:net"}}}
    live = {**spec, "graph": {**spec["graph"], "nodes": nodes}}
    with pytest.raises(ValueError, match="the object `live:net` was not given"):
        Experiment.from_spec(live, [feature_set])


def test_a_spec_that_names_its_file_runs_without_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).standard_normal((40, 4))
    (tmp_path / "data").mkdir()
    (tmp_path / "specs").mkdir()
    monkeypatch.chdir(tmp_path)
    pa.parquet.write_table(pa.table({"x": x.tolist(), "y": x.sum(1)}), "data/cells.parquet")
    experiment = Experiment("exp")
    cells = FeatureSet.from_parquet("Cells", "data/cells.parquet", "x", "y")
    cells.split_random({"train": 0.8, "test": 0.2}, seed=3)
    node = ModelNode("MLP", SequentialMLP(), cells.reference())
    ModelGraph(nodes=[node], optimizer=Optimizer("sgd", backend="torch"))
    experiment.execution_plan.add_phase(EvalPhase.from_split("test", "test", [mse(node)]))
    experiment.run()
    path = experiment.to_yaml("specs/exp.yaml")
    assert "path: ../data/cells.parquet" in path.read_text()
    compiled = specplan.compile(path)
    assert experiment.last_run is not None
    assert compiled.id == experiment.last_run.metadata["plan"]
    archive = experiment.save("exp")
    with zipfile.ZipFile(archive) as files:
        assert "cells.parquet" not in files.read("config.json").decode()
    assert Experiment.load(archive).to_spec()["data"]["Cells"]["source"]["use"] == "memory"


def test_a_spec_as_a_file(tmp_path: Path) -> None:
    experiment = Experiment("exp")
    node = ModelNode("MLP", SequentialMLP(), sensor_data().reference())
    ModelGraph(nodes=[node], optimizer=Optimizer("sgd", backend="torch"))
    experiment.execution_plan.add_phase(EvalPhase.from_split("test", "test", [mse(node)]))
    path = experiment.to_yaml(tmp_path / "exp.yaml")
    assert "graph:\n  nodes:\n    MLP:\n      model:" in path.read_text()
    assert Experiment.from_yaml(path).label == "exp"
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        experiment.to_yaml(path)
    experiment.ctx.activate()
    written = path.read_text()
    path.write_text(written.replace("run: {seed: 42, dirty_git: ignore}\n", ""))
    with pytest.raises(ValueError, match="exp.yaml` does not say 'run'; .*every default"):
        Experiment.from_yaml(path)
    path.write_text(written.replace("id: exp", "id: 3"))
    with pytest.raises(SpecError, match=r"exp\.yaml:2:18: error"):
        Experiment.from_yaml(path)
    with pytest.raises(SpecError):
        Experiment.from_yaml(tmp_path / "none.yaml")
    assert active_context() is experiment.ctx
