"""Trackers, as their document has them: what every one does, and what a local one does besides."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import specplan
from specplan import (
    MAX_ARTIFACT_SIZE,
    ExperimentConfig,
    ExperimentTracker,
    LocalExperimentTracker,
    compare_experiments,
    log_environment,
    run_sweep,
    safe_log_artifact,
    validate_metric,
)
from specplan.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def tracker(tmp_path: Path) -> LocalExperimentTracker:
    return LocalExperimentTracker(tmp_path / "experiments")


def test_a_config_needs_a_name_and_has_the_documented_defaults() -> None:
    config = ExperimentConfig("training")
    assert (config.project, config.tracking_uri, config.artifact_location) == (
        "codex-ml",
        "mlruns",
        None,
    )
    assert (config.tags, config.description, config.random_seed) == ({}, "", 42)
    assert ExperimentConfig("other").tags is not config.tags
    with pytest.raises(ValueError, match="^Experiment name is required$"):
        ExperimentConfig("")


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ExperimentTracker()  # type: ignore[abstract]


def test_the_first_example_of_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = LocalExperimentTracker("experiments")
    run_id = tracker.start_run("training-v1")
    tracker.log_params({"learning_rate": 0.001, "batch_size": 32, "optimizer": "adam"})
    for epoch in range(3):
        tracker.log_metrics({"loss": 1 / (epoch + 1), "epoch": epoch}, step=epoch)
    Path("model.pt").write_bytes(b"weights")
    tracker.log_artifact("model.pt")
    tracker.end_run()

    folder = tmp_path / "experiments/training-v1"
    assert run_id == "training-v1"
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["run_name"] == "training-v1"
    assert metadata["status"] == "completed"
    assert re.fullmatch(r"\d{8}_\d{6}", metadata["start_time"])
    assert json.loads((folder / "params.json").read_text())["optimizer"] == "adam"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[2] == {"step": 2, "metrics": {"loss": 1 / 3, "epoch": 2}}
    assert (folder / "artifacts/model.pt").read_bytes() == b"weights"

    run = specplan.open(folder)
    assert run.status == "completed"
    assert run.metrics("loss").arrow.column("step").to_pylist() == [0, 1, 2]
    assert run.artifacts["model.pt"].read() == b"weights"


@pytest.mark.parametrize(
    "call",
    [
        lambda tracker: tracker.log_params({"a": 1}),
        lambda tracker: tracker.log_metrics({"a": 1}),
        lambda tracker: tracker.log_artifact("x"),
    ],
)
def test_nothing_is_logged_without_a_run(
    tracker: LocalExperimentTracker, call: Callable[[ExperimentTracker], None]
) -> None:
    tracker.end_run()
    with pytest.raises(RuntimeError, match="No active run"):
        call(tracker)


def test_a_run_without_a_name_has_the_time_as_its_name(tracker: LocalExperimentTracker) -> None:
    assert re.fullmatch(r"run_\d{8}_\d{6}", tracker.start_run())
    tracker.end_run()
    assert tracker.current_run is None


def test_runs_without_a_name_are_runs_of_their_own(tracker: LocalExperimentTracker) -> None:
    names = [tracker.start_run() for _ in range(3)]
    assert len({*names}) == 3
    tracker.end_run()
    assert {path.parent.name for path in tracker.base_dir.glob("*/run.json")} == {*names}


def test_a_name_again_is_the_next_session_of_its_run(tracker: LocalExperimentTracker) -> None:
    for value in (1.0, 2.0):
        tracker.start_run("same")
        tracker.log_params({f"p{value:g}": value})
        tracker.log_metrics({"loss": value}, step=int(value))
        tracker.end_run()
    run = specplan.open(tracker.base_dir / "same")
    assert [session.session for session in run.run_file.sessions] == [1, 2]
    rows = run.metrics("loss").arrow
    assert rows.column("session").to_pylist() == [1, 2]
    assert rows.column("value").to_pylist() == [1.0, 2.0]
    assert compare_experiments([tracker.base_dir / "same"])["same"]["params"] == {"p1": 1, "p2": 2}


def test_a_run_that_is_started_ends_the_one_before(tracker: LocalExperimentTracker) -> None:
    tracker.start_run("first")
    tracker.start_run("second")
    assert specplan.open(tracker.base_dir / "first").status == "completed"
    assert specplan.open(tracker.base_dir / "second").status == "running"
    tracker.end_run()


def test_a_folder_that_is_no_run_keeps_its_files(tracker: LocalExperimentTracker) -> None:
    folder = tracker.base_dir / "old"
    folder.mkdir(parents=True)
    (folder / "params.json").write_text('{"lr": 1}')
    (folder / "metrics.jsonl").write_text('{"step": 1, "metrics": {"loss": 3.0}}\n')
    tracker.start_run("old")
    tracker.log_params({"size": 2})
    tracker.log_metrics({"accuracy": 0.5})
    tracker.end_run()
    assert compare_experiments([folder])["old"] == {
        "params": {"lr": 1, "size": 2},
        "final_metrics": {"loss": 3.0, "accuracy": 0.5},
    }


@pytest.mark.parametrize("value", [True, np.float32(0.5), np.float64(1), np.int8(2), np.array(3.0)])
def test_numbers_of_every_kind_are_metrics(tracker: LocalExperimentTracker, value: Any) -> None:
    tracker.start_run("r")
    tracker.log_metrics({"x": value})
    tracker.end_run()
    run = specplan.open(tracker.base_dir / "r")
    assert run.metrics("x").arrow.column("value").to_pylist() == [float(value)]


def test_a_metric_that_is_no_number_is_refused_with_all_of_its_call(
    tracker: LocalExperimentTracker,
) -> None:
    tracker.start_run("r")
    with pytest.raises(TypeError, match="Metric b must be numeric"):
        tracker.log_metrics({"a": 1.0, "b": "0.5"})  # type: ignore[dict-item]
    tracker.end_run()
    assert not (tracker.base_dir / "r/metrics.jsonl").exists()
    assert specplan.open(tracker.base_dir / "r").metrics().arrow.num_rows == 0


def test_nan_is_a_value_and_the_file_stays_json(tracker: LocalExperimentTracker) -> None:
    tracker.start_run("r")
    tracker.log_metrics({"loss": math.nan, "ok": 1.0})
    tracker.end_run()
    line = json.loads((tracker.base_dir / "r/metrics.jsonl").read_text())
    assert line["metrics"] == {"loss": None, "ok": 1.0}
    final = compare_experiments([tracker.base_dir / "r"])["r"]["final_metrics"]
    assert math.isnan(final["loss"])


def test_artifacts_go_where_they_are_sent_and_nowhere_else(
    tracker: LocalExperimentTracker, tmp_path: Path
) -> None:
    source = tmp_path / "plot.txt"
    source.write_text("plot")
    tracker.start_run("r")
    tracker.log_artifact(str(source), "figures/epoch_1.txt")
    tracker.log_artifact(str(source), "figures/")
    for name in ("../../plot.txt", "/plot.txt"):
        with pytest.raises(ValueError, match="cannot be the name of an artifact"):
            tracker.log_artifact(str(source), name)
    with pytest.raises(FileNotFoundError, match=r"^Artifact not found: .*nothing$"):
        tracker.log_artifact(str(tmp_path / "nothing"))
    tracker.end_run()
    artifacts = tracker.base_dir / "r/artifacts"
    assert sorted(path.name for path in (artifacts / "figures").iterdir()) == [
        "epoch_1.txt",
        "plot.txt",
    ]
    assert not (tmp_path / "plot.txt").is_symlink()


@pytest.mark.parametrize("name", ["../outside", "a//b", ".x", "a\\b"])
def test_run_names_stay_in_the_folder(tracker: LocalExperimentTracker, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a run"):
        tracker.start_run(name)


def test_comparing_leaves_out_what_there_is_not(
    tracker: LocalExperimentTracker, tmp_path: Path
) -> None:
    tracker.start_run("r")
    tracker.log_metrics({"loss": 1.0, "accuracy": 0.5})
    tracker.log_metrics({"loss": 0.5})
    tracker.end_run()
    folders = [tracker.base_dir / "r", tmp_path / "nothing"]
    with pytest.warns(UserWarning, match="there is no run"):
        compared = compare_experiments(folders)
    assert compared == {"r": {"params": {}, "final_metrics": {"loss": 0.5, "accuracy": 0.5}}}
    last = compare_experiments(folders[:1], strict_last_line=True)
    assert last["r"]["final_metrics"] == {"loss": 0.5}
    with pytest.raises(FileNotFoundError, match="there is no run"):
        compare_experiments(folders, strict=True)


def test_files_of_another_tool_are_compared(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "params.json").write_text('{"rate": Infinity}', encoding="utf-8")
    lines = '{"step": 0, "metrics": {"loss": NaN}}\n\n{"step": 1, "metrics": {"accuracy": 1}}'
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
    found = compare_experiments([folder])["theirs"]
    assert found["params"] == {"rate": math.inf}
    assert math.isnan(found["final_metrics"].pop("loss"))
    assert found["final_metrics"] == {"accuracy": 1}
    (folder / "params.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"params\.json is damaged"):
        compare_experiments([folder])


@pytest.mark.parametrize(
    ("last", "kept"), [('{"step": 1, "met', [0, 2]), ('{"step": 1, "metrics": {}}', [0, 1, 2])]
)
def test_a_line_that_was_not_ended(
    tracker: LocalExperimentTracker, last: str, kept: list[int]
) -> None:
    tracker.start_run("killed")
    tracker.log_metrics({"loss": 3.0}, step=0)
    assert tracker.run_dir is not None
    file = tracker.run_dir / "metrics.jsonl"
    file.write_text(file.read_text("utf-8") + last, encoding="utf-8")
    assert compare_experiments([tracker.run_dir])["killed"]["final_metrics"] == {"loss": 3.0}
    tracker.log_metrics({"loss": 2.0}, step=2)
    assert [json.loads(line)["step"] for line in file.read_text("utf-8").splitlines()] == kept


def test_the_environment_is_params(tracker: LocalExperimentTracker) -> None:
    tracker.start_run("r")
    log_environment(tracker)
    tracker.end_run()
    params = json.loads((tracker.base_dir / "r/params.json").read_text())
    assert {"python_version", "platform", "git_hash", "torch_version"} <= set(params)


def test_a_sweep_runs_every_combination(tracker: LocalExperimentTracker) -> None:
    grid: dict[str, list[float]] = {
        "learning_rate": [0.001, 0.0001],
        "batch_size": [16, 32, 64],
        "hidden": [128, 256],
    }
    results = run_sweep(grid, lambda **params: {"loss": sum(params.values())}, tracker)
    assert len(results) == 12
    best = min(results, key=lambda result: result["metrics"]["loss"])
    assert best["params"] == {"learning_rate": 0.0001, "batch_size": 16, "hidden": 128}
    assert [result["run_id"] for result in results] == [f"sweep-{index}" for index in range(12)]
    with pytest.raises(ValueError, match="^Too many combinations: 101$"):
        run_sweep({"x": range(101)}, lambda **_: {}, tracker)
    # So many that a list of them would fill the memory.
    with pytest.raises(ValueError, match="^Too many combinations: 1000000000000$"):
        run_sweep({name: range(1000) for name in "abcd"}, lambda **_: {}, tracker)
    with pytest.raises(
        TypeError, match=r"^the values of `optimizer` are a list such as \['adam'\]$"
    ):
        run_sweep({"optimizer": "adam"}, lambda **_: {}, tracker)


def test_the_runs_of_a_second_sweep_have_numbers(tmp_path: Path) -> None:
    config = ExperimentConfig("c", backend="local", tracking_uri=str(tmp_path), log_git_hash=False)
    ids = [
        result["run_id"]
        for rate in (1.0, 2.0)
        for result in run_sweep({"rate": [rate]}, lambda rate: {"loss": rate}, config.tracker())
    ]
    assert ids == ["sweep-0", "sweep-0.1"]
    params = [json.loads((tmp_path / "c" / name / "params.json").read_text()) for name in ids]
    assert [each["rate"] for each in params] == [1.0, 2.0]
    assert {each["random_seed"] for each in params} == {42}
    with pytest.raises(ValueError, match="cannot be"):
        LocalExperimentTracker(tmp_path).start_new_run("../c")


@pytest.mark.parametrize(("value", "error"), [("1", TypeError), (math.nan, ValueError)])
def test_metrics_are_validated(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="Metric loss"):
        validate_metric("loss", value)
    assert validate_metric("loss", np.float32(0.5)) == 0.5


def test_large_files_are_no_artifacts(tracker: LocalExperimentTracker, tmp_path: Path) -> None:
    tracker.start_run("r")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MAX_ARTIFACT_SIZE + 1)
    with pytest.raises(ValueError, match=r"^Artifact too large: 100\.0MB$"):
        safe_log_artifact(tracker, str(large))
    folder = tmp_path / "folder"
    folder.mkdir()
    large.rename(folder / "large")
    with pytest.raises(ValueError, match="^Artifact too large"):
        safe_log_artifact(tracker, folder)
    with pytest.raises(FileNotFoundError):
        safe_log_artifact(tracker, str(tmp_path / "nothing"))
    small = tmp_path / "small"
    small.write_text("x")
    safe_log_artifact(tracker, str(small))
    tracker.end_run()
    assert (tracker.base_dir / "r/artifacts/small").read_text() == "x"


def test_steps_go_on_in_the_next_session(tracker: LocalExperimentTracker) -> None:
    tracker.start_run("same")
    for _ in range(2):
        tracker.log_metrics({"loss": 1.0, "rate": 0.1})
    tracker.start_run("same")
    tracker.log_metrics({"loss": 0.5})
    tracker.log_metrics({"loss": 0.5}, step=9)
    tracker.log_metrics({"rate": 0.1, "loss": 0.5})
    tracker.log_metrics({"other": 1.0})
    tracker.end_run()
    run = specplan.open(tracker.base_dir / "same")
    steps = {
        name: run.metrics(name).arrow.column("step").to_pylist()
        for name in ("loss", "rate", "other")
    }
    assert steps == {"loss": [0, 1, 2, 9, 10], "rate": [0, 1, 10], "other": [0]}
