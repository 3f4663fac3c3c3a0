"""What every tracker does, whatever keeps its runs."""

from __future__ import annotations

import json
import math
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import specplan
from specplan import ExperimentTracker, LocalExperimentTracker, MLflowTracker, run_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own libraries


class Kept(NamedTuple):
    """What a place has of a run."""

    params: dict[str, str]
    metrics: dict[str, list[tuple[int, float]]]
    artifacts: dict[str, bytes]
    status: str


class Place(NamedTuple):
    """A tracker, and how to read what it has kept of the run of an id."""

    tracker: ExperimentTracker
    read: Callable[[str], Kept]


def read_folder(folder: Path) -> Kept:
    """What a run folder has."""
    run = specplan.open(folder)
    metrics: dict[str, list[tuple[int, float]]] = {}
    for row in run.metrics().arrow.to_pylist():
        metrics.setdefault(row["name"], []).append((row["step"], row["value"]))
    params = json.loads((folder / "params.json").read_text())
    artifacts = {name: artifact.path.read_bytes() for name, artifact in run.artifacts.items()}
    return Kept(
        {name: str(value) for name, value in params.items()}, metrics, artifacts, run.status
    )


def read_mlflow(uri: str, run_id: str) -> Kept:
    """What MLflow has, as its own client reads it."""
    from mlflow import MlflowClient, artifacts

    client = MlflowClient(uri)
    run = client.get_run(run_id)
    metrics = {
        name: [(each.step, each.value) for each in client.get_metric_history(run_id, name)]
        for name in run.data.metrics
    }
    files = {}
    if client.list_artifacts(run_id):
        folder = Path(artifacts.download_artifacts(run_id=run_id, tracking_uri=uri))
        found = [path for path in folder.rglob("*") if path.is_file()]
        files = {str(path.relative_to(folder)): path.read_bytes() for path in found}
    status = {"FINISHED": "completed", "RUNNING": "running"}.get(
        run.info.status, run.info.status.lower()
    )
    return Kept(run.data.params, metrics, files, status)


@pytest.fixture(
    params=["local", "mlflow_database", pytest.param("mlflow_server", marks=pytest.mark.slow)]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Every tracker."""
    if request.param == "local":
        local = LocalExperimentTracker(tmp_path / "experiments")
        yield Place(local, lambda name: read_folder(local.base_dir / name))
        return
    request.getfixturevalue("mlflow_database")  # which leaves MLflow as it was
    uri = request.getfixturevalue(request.param)
    tracker = MLflowTracker(uri, "contract", root=tmp_path / "runs", patience=60)
    yield Place(tracker, lambda run_id: read_mlflow(uri, run_id))
    tracker.end_run()


def test_a_run_has_what_was_logged(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "plot.txt"
    source.write_text("plot")
    run_id = place.tracker.start_run("first")
    place.tracker.log_params({"learning_rate": 0.001, "batch_size": 32, "optimizer": "adam"})
    size: Any = np.float32(2)
    for epoch in range(3):
        place.tracker.log_metrics({"loss": 1 / (epoch + 1), "size": size}, step=epoch)
    place.tracker.log_metrics({"odd": math.nan})
    for name in (None, "figures/epoch 1.txt", "figures/"):
        place.tracker.log_artifact(str(source), name)
    place.tracker.end_run()

    kept = place.read(run_id)
    assert kept.params == {"learning_rate": "0.001", "batch_size": "32", "optimizer": "adam"}
    assert kept.metrics["loss"] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert kept.metrics["size"] == [(0, 2.0), (1, 2.0), (2, 2.0)]
    assert [(step, str(value)) for step, value in kept.metrics["odd"]] == [(0, "nan")]
    names = ["figures/epoch 1.txt", "figures/plot.txt", "plot.txt"]
    assert {name: kept.artifacts[name] for name in names} == dict.fromkeys(names, b"plot")
    assert sorted(kept.artifacts) == names
    assert kept.status == "completed"


def test_a_run_ends_as_it_was_told(place: Place) -> None:
    run_id = place.tracker.start_run("wrong")
    place.tracker.log_params({"a": 1})
    place.tracker.end_run("failed")  # type: ignore[call-arg]
    assert place.read(run_id).status == "failed"


def test_a_run_of_a_sweep_that_raises_has_failed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = place.tracker.start_run
    started: list[str] = []

    def begin(name: str | None = None) -> str:
        started.append(begun(name))
        return started[-1]

    monkeypatch.setattr(place.tracker, "start_run", begin)

    def train(rate: float) -> dict[str, float]:
        return {"loss": 1 / rate}

    with pytest.raises(ZeroDivisionError):
        run_sweep({"rate": [1.0, 0.0]}, train, place.tracker)
    assert [place.read(run_id).status for run_id in started] == ["completed", "failed"]


def test_a_run_ends_in_one_of_three_ways(place: Place) -> None:
    place.tracker.start_run("ends")
    for status in ("running", "fnished"):
        with pytest.raises(ValueError, match=f"`cancelled`, not as `{status}`"):
            place.tracker.end_run(status)  # type: ignore[call-arg]


def test_without_a_run_nothing_is_logged(place: Place) -> None:
    place.tracker.end_run()
    with pytest.raises(RuntimeError, match="^No active run"):
        place.tracker.log_params({"a": 1})
    with pytest.raises(RuntimeError, match="^No active run"):
        place.tracker.log_metrics({"a": 1})
    with pytest.raises(RuntimeError, match="^No active run"):
        place.tracker.log_artifact("x")


def test_what_is_wrong_is_said_at_once(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "plot.txt"
    source.write_text("plot")
    run_id = place.tracker.start_run("wrong")
    with pytest.raises(TypeError, match="Metric b must be numeric"):
        place.tracker.log_metrics({"a": 1.0, "b": "0.5"})  # type: ignore[dict-item]
    with pytest.raises(FileNotFoundError, match="^Artifact not found: "):
        place.tracker.log_artifact(str(tmp_path / "nothing"))
    for name in ("../../plot.txt", "/plot.txt"):
        with pytest.raises(ValueError, match="cannot be the name of an artifact"):
            place.tracker.log_artifact(str(source), name)
    place.tracker.log_params({"a": 1})
    place.tracker.end_run()
    assert place.read(run_id) == Kept({"a": "1"}, {}, {}, "completed")


def test_a_sweep_has_a_run_for_each_combination(place: Place) -> None:
    results = run_sweep(
        {"rate": [1, 2], "size": [3]}, lambda **params: {"loss": params["rate"]}, place.tracker
    )
    kept = [place.read(result["run_id"]) for result in results]
    assert [each.params for each in kept] == [
        {"rate": "1", "size": "3"},
        {"rate": "2", "size": "3"},
    ]
    assert [each.metrics for each in kept] == [{"loss": [(0, 1.0)]}, {"loss": [(0, 2.0)]}]
    (again,) = run_sweep({"depth": [5]}, lambda depth: {"loss": depth}, place.tracker)
    assert place.read(again["run_id"])[:2] == ({"depth": "5"}, {"loss": [(0, 5.0)]})


def test_a_run_of_mlflow_is_a_run_folder_as_well(mlflow_database: str, tmp_path: Path) -> None:
    tracker = MLflowTracker(mlflow_database, "my: experiment", root=tmp_path / "runs")
    tracker.start_run("nice")
    tracker.log_params({"model": {"depth": 3}})
    for step in range(2500):
        tracker.log_metrics({"loss": step / 2}, step=step)
    folder = tracker.run_dir
    tracker.end_run()
    assert folder is not None
    assert folder.parent == tmp_path / "runs/my_ experiment"
    kept = read_folder(folder)
    assert kept.params == {"model.depth": "3"}
    assert kept.metrics["loss"] == [(step, step / 2) for step in range(2500)]
    assert tracker.missed == 0


def test_what_mlflow_cannot_hold_is_said_and_kept(
    mlflow_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = MLflowTracker(mlflow_database, "limits", root=tmp_path / "runs")
    run_id = tracker.start_run()
    params: dict[str, Any] = {f"p{index}": index for index in range(150)}
    tracker.log_params({**params, "long": "x" * 7000, "a[0]": 1, "twice": 1})
    tracker.log_params({"p0": 0})
    while "twice" not in read_mlflow(mlflow_database, run_id).params:
        time.sleep(0.05)
    tracker.log_params({"twice": 2})
    tracker.log_metrics({"a(b": 1.0, "../up": 2.0, "good": 3.0})
    folder = tracker.run_dir
    tracker.end_run()
    kept = read_mlflow(mlflow_database, run_id)
    assert kept.params == {**{name: str(value) for name, value in params.items()}, "twice": "1"}
    assert kept.metrics == {"good": [(0, 3.0)]}
    assert folder is not None
    ours = read_folder(folder)
    assert len(ours.params["long"]) == 7000
    assert ours.params["twice"] == "2"
    assert set(ours.metrics) == {"a(b", "../up", "good"}
    said = [record for record in caplog.records if record.name.startswith("specplan")]
    assert len(said) == 5
    assert "the param `long` has 7000 characters; MLflow keeps 6000" in caplog.text


def test_mlflow_that_does_not_answer_is_said_as_documented(
    mlflow_database: str, tmp_path: Path
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(RuntimeError, match="^Failed to reach MLflow at http://127") as refusal:
        MLflowTracker(f"http://user:pass@word@127.0.0.1:{port}", "x", root=tmp_path)
    assert "word" not in str(refusal.value)
    tracker = MLflowTracker(mlflow_database, "x", root=tmp_path)
    tracker._mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")
    with pytest.raises(RuntimeError, match="^Failed to start MLflow run: "):
        tracker.start_run()
    assert not (tmp_path / "x").exists()


def test_artifacts_that_cannot_be_sent_hold_up_nothing_else(
    mlflow_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = "nowhere://bucket"
    tracker = MLflowTracker(
        mlflow_database, "x", artifact_location=place, root=tmp_path, patience=1
    )
    run_id = tracker.start_run()
    (tmp_path / "notes.txt").write_text("x")
    tracker.log_artifact(tmp_path / "notes.txt")
    tracker.log_params({"rate": 0.5})
    tracker.log_metrics({"loss": 1.0})
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_database)
    while client.get_run(run_id).data.metrics != {"loss": 1.0}:
        time.sleep(0.05)
    tracker.end_run()
    assert tracker.missed == 1
    assert "1 records of run" in caplog.text
    there = client.get_run(run_id)
    assert (there.info.status, there.data.params) == ("FINISHED", {"rate": "0.5"})


def test_a_database_opens_no_connection(
    mlflow_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    tracker = MLflowTracker(mlflow_database, "quiet", root=tmp_path)
    tracker.start_run()
    tracker.log_metrics({"loss": 1.0})
    tracker.end_run()
    assert asked == []
    assert tracker.missed == 0
