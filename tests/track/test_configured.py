"""Trackers as the YAML file of an experiment says."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import specplan
from specplan import ExperimentConfig, SpecError
from specplan.track.configured import ConfiguredTracker
from specplan.track.sections import SECTIONS
from specplan.track.tracker import BACKENDS

if TYPE_CHECKING:
    from specplan.results.open import Run
    from specplan.track.tracker import Backend

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own libraries

DOCUMENTED = """\
experiment:
  name: training-experiment
  project: codex-ml

tracking:
  backend: mlflow
  artifact_location: s3://bucket/artifacts

logging:
  log_frequency: 100  # steps
  log_system_metrics: true

artifacts:
  save_model: true
  save_plots: true
  save_config: true

reproducibility:
  random_seed: 42
  log_git_hash: true
  log_environment: true
"""
LOCAL = """\
experiment: {name: exp, description: why, tags: {team: blue}}
tracking: {backend: local, tracking_uri: kept}
logging: {log_frequency: 10}
artifacts: {save_model: false, save_plots: false}
reproducibility: {random_seed: 7}
"""


def write(folder: Path, text: str) -> Path:
    """The file of an experiment."""
    file = folder / "experiment.yaml"
    file.write_text(text)
    return file


def test_every_key_of_the_document_is_taken(tmp_path: Path) -> None:
    config = ExperimentConfig.read(write(tmp_path, DOCUMENTED))
    assert config == ExperimentConfig(
        "training-experiment",
        artifact_location="s3://bucket/artifacts",
        log_frequency=100,
        log_system_metrics=True,
        log_environment=True,
        file=tmp_path / "experiment.yaml",
    )
    assert config.tracking_uri == "mlruns"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("experiment: {name: a}\nloging: {}", r":2:1: error\[SP201\]: unknown key `loging`"),
        (
            "experiment: {name: a}\nlogging: {log_frequncy: 1}",
            r":2:11: error\[SP201\]: unknown key `log_frequncy`",
        ),
        ("experiment: {project: a}", r"`Experiment` needs `name`"),
        ("experiment: {name: a}\ntracking: {backend: mlfow}", r":2:21: .*mlfow"),
        ("experiment: {name: a}\nlogging: {log_frequency: 0}", r"has to be at least 1"),
        ("experiment: {name: a}\nartifacts: {save_model: 1}", r":2:25: "),
        ("experiment: {name: ''}", r":1:13: .*Experiment name is required"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SpecError) as error:
        ExperimentConfig.read(write(tmp_path, text))
    assert re.search(said, str(error.value)), str(error.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_means_what_the_same_arguments_mean(tmp_path: Path, backend: Backend) -> None:
    file = write(tmp_path, f"experiment: {{name: a}}\ntracking: {{backend: {backend}}}")
    config = ExperimentConfig("a", backend=backend, file=file)
    assert ExperimentConfig.read(file) == config
    assert config.tracking_uri == {"mlflow": "mlruns", "local": "experiments"}[backend]


def test_every_field_has_its_section() -> None:
    fields = [each.name for each in dataclasses.fields(ExperimentConfig)]
    named = [name for section in SECTIONS.values() for name in section]
    assert sorted([*named, "file"]) == sorted(fields)


def run_of(folder: Path) -> tuple[Run, dict[str, object]]:
    """A run, and its params."""
    run = specplan.open(folder)
    return run, json.loads(run.folder.params_file.read_text())


def test_a_local_tracker_does_what_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "."], check=True)
    config = ExperimentConfig.read(write(tmp_path, LOCAL))
    tracker = config.tracker()
    tracker.start_run("r")
    for step in range(25):
        tracker.log_metrics({"loss": step}, step=step)
    tracker.log_metrics({"final": 1.0})
    tracker.log_params({"lr": 0.1})
    for name in ("model.pt", "other.PT", "plot.png", "notes.txt"):
        Path(name).write_text("x")
        tracker.log_artifact(name)
    tracker.end_run()
    run, params = run_of(tmp_path / "kept/exp/r")
    assert run.metrics("loss").arrow.column("step").to_pylist() == [0, 10, 20]
    assert run.metrics("final").arrow.num_rows == 1
    assert params == {"project": "codex-ml", "random_seed": 7, "git_hash": "unknown", "lr": 0.1} | (
        {"git_dirty": params["git_dirty"]}
    )
    assert sorted(run.artifacts) == ["experiment.yaml", "notes.txt"]
    assert run.plan.experiment.tags == {"team": "blue"}
    assert run.plan.experiment.description == "why"
    assert caplog.messages == [
        "files *.pt are left out, as the configuration says",
        "files *.png are left out, as the configuration says",
    ]


def test_the_file_is_kept_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = LOCAL.replace("why", '"see https://me:pass@word@host/x"')
    tracker = ExperimentConfig.read(write(tmp_path, text)).tracker()
    tracker.start_run("r")
    tracker.end_run()
    run, _ = run_of(tmp_path / "kept/exp/r")
    kept = run.artifacts["experiment.yaml"].path.read_text()
    assert kept == text.replace("me:pass@word", "***")


def test_nothing_is_logged_that_is_not_asked_for(tmp_path: Path) -> None:
    config = ExperimentConfig(
        "exp", backend="local", tracking_uri=str(tmp_path), log_git_hash=False, save_config=False
    )
    tracker = config.tracker()
    tracker.start_run("r")
    tracker.end_run()
    run, params = run_of(tmp_path / "exp/r")
    assert params == {"project": "codex-ml", "random_seed": 42}
    assert list(run.artifacts) == []


def test_environment_and_system_are_logged_where_they_are_asked_for(tmp_path: Path) -> None:
    config = ExperimentConfig(
        "exp",
        backend="local",
        tracking_uri=str(tmp_path),
        log_environment=True,
        log_system_metrics=True,
    )
    tracker = config.tracker()
    tracker.start_run("r")
    tracker.end_run()
    run, params = run_of(tmp_path / "exp/r")
    assert {"python_version", "platform", "git_hash"} <= set(params)
    names = run.metrics().arrow.column("name").to_pylist()
    assert [name for name in names if name.startswith("system/")] != []


def test_a_local_tracker_has_no_other_place_for_artifacts(tmp_path: Path) -> None:
    config = ExperimentConfig("exp", backend="local", artifact_location=str(tmp_path))
    with pytest.raises(ValueError, match="so it has no artifact_location"):
        config.tracker()
    with pytest.raises(
        ValueError, match="no backend `mlfow`; known: `mlflow`, `local`; did you mean"
    ):
        ExperimentConfig("exp", backend="mlfow")  # type: ignore[arg-type]


def test_mlflow_gets_what_the_file_says(mlflow_database: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    text = DOCUMENTED.replace("s3://bucket/artifacts", str(tmp_path / "elsewhere"))
    text = text.replace("backend: mlflow", f"backend: mlflow\n  tracking_uri: {mlflow_database}")
    config = ExperimentConfig.read(write(tmp_path, text))
    config.tags["team"] = "blue"
    tracker = config.tracker()
    run_id = tracker.start_run("first")
    for step in range(250):
        tracker.log_metrics({"loss": 1.0}, step=step)
    assert isinstance(tracker, ConfiguredTracker)
    tracker.end_run()
    client = MlflowClient(mlflow_database)
    there = client.get_run(run_id)
    assert there.info.run_name == "first"
    assert there.data.tags["team"] == "blue"
    assert there.data.params["random_seed"] == "42"
    assert "platform" in there.data.params
    assert [name for name in there.data.metrics if name.startswith("system/")] != []
    assert [each.step for each in client.get_metric_history(run_id, "loss")] == [0, 100, 200]
    assert (tmp_path / "elsewhere" / run_id / "artifacts/experiment.yaml").read_text() == text
