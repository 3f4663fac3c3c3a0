"""ExperimentManager, as its document has it."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import specplan
from specplan import ExperimentManager, ExperimentRecord
from specplan.errors import RunError
from specplan.results.locate import all_runs
from specplan.results.settings import settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def manager(tmp_path: Path) -> ExperimentManager:
    return ExperimentManager(tmp_path / "logs")


def test_the_workflow_of_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manager = ExperimentManager()
    record = manager.start_experiment(
        config_name="neural_net_experiment",
        hyperparameters={"learning_rate": 0.001, "batch_size": 64, "epochs": 20},
        metadata={"precision": "float16", "model_size": "large", "dataset_version": "v2.1"},
    )
    losses = []
    for epoch in range(20):
        losses.append(np.float64(1 / (epoch + 1)))
        if (epoch + 1) % 5 == 0:
            manager.add_checkpoint(f"checkpoints/model_epoch_{epoch + 1}.npz")
    manager.log_metrics({"loss": losses})
    (entry,) = manager.read_history(record.experiment_id)
    assert entry["version"] == 1
    assert entry["metrics"] == {"loss": losses}
    assert entry["checkpoints"] == [f"checkpoints/model_epoch_{n}.npz" for n in (5, 10, 15, 20)]
    assert entry["metadata"]["hardware_constraint_mode"] == "unknown"
    assert (tmp_path / "experiments/logs/neural_net_experiment.json").is_file()


def test_a_record_has_the_documented_fields(manager: ExperimentManager) -> None:
    metadata = {"precision": "float32"}
    record = manager.start_experiment(
        "a/b.json", {"rate": np.float32(0.1), "n": np.int64(3)}, metadata
    )
    assert isinstance(record, ExperimentRecord)
    assert (record.experiment_id, record.version, record.config_name) == ("a_b_json", 1, "a/b.json")
    assert datetime.fromisoformat(record.created_at).tzinfo is not None
    assert record.hyperparameters == {"rate": float(np.float32(0.1)), "n": 3}
    assert record.metadata == {
        "precision": "float32",
        "model_size": "unknown",
        "dataset_version": "unknown",
        "hardware_constraint_mode": "unknown",
    }
    assert (record.metrics, record.checkpoints) == ({}, [])
    assert metadata == {"precision": "float32"}


def test_nothing_is_logged_without_an_active_experiment(manager: ExperimentManager) -> None:
    with pytest.raises(RuntimeError, match="No active experiment"):
        manager.log_metrics({"loss": [1.0]})
    with pytest.raises(RuntimeError, match="No active experiment"):
        manager.add_checkpoint("model.npz")
    assert manager.read_history("nothing") == []


def test_versions_count_up_and_the_newest_is_active(manager: ExperimentManager) -> None:
    for version in (1, 2, 3):
        assert manager.start_experiment("c", {}, {}, experiment_id="mine").version == version
    manager.log_metrics({"loss": [1]})
    history = manager.read_history("mine")
    assert [entry["version"] for entry in history] == [1, 2, 3]
    assert [entry["metrics"] for entry in history] == [{}, {}, {"loss": [1]}]


def test_metrics_given_again_replace_their_list_and_no_other(manager: ExperimentManager) -> None:
    record = manager.start_experiment("c", {}, {})
    manager.log_metrics({"loss": (0.5, 0.4), "accuracy": [0.8]})
    manager.log_metrics({"loss": np.array([0.5, 0.4, 0.3], np.float32)})
    assert list(record.metrics) == ["loss", "accuracy"]
    assert record.metrics["loss"] == pytest.approx([0.5, 0.4, 0.3])
    manager.log_metrics({"f1": [0.7]}, replace=True)
    assert manager.read_history("c")[0]["metrics"] == {"f1": [0.7]}


def test_a_version_is_a_run_like_any_other(manager: ExperimentManager) -> None:
    manager.start_experiment("c", {"rate": 0.1}, {})
    manager.log_metrics({"loss": [3.0, 2.0]})
    manager.log_metrics({"loss": [3.0, 2.0, 1.0]})
    manager.close()
    (folder,) = all_runs(manager.log_dir)
    run = specplan.open(folder.path)
    assert (run.experiment, run.version, run.status) == ("c", 1, "completed")
    rows = run.metrics("loss").arrow
    assert rows.column("step").to_pylist() == [0, 1, 2]
    assert rows.column("value").to_pylist() == [3.0, 2.0, 1.0]
    assert json.loads((folder.path / "params.json").read_text()) == {"rate": 0.1}


def test_what_is_said_of_an_experiment_can_be_asked_for(manager: ExperimentManager) -> None:
    manager.start_experiment("c", {"rate": 0.1}, {"precision": "float16"})
    manager.start_experiment("c", {"rate": 0.2, "metadata": "mine"}, {"precision": "float32"})
    manager.close()
    (first, second) = all_runs(manager.log_dir)
    assert settings(first) == {"rate": 0.1, "metadata.precision": "float16"}
    assert settings(second) == {"rate": 0.2, "metadata": "mine"}


def test_a_history_has_no_number_that_json_has_not(manager: ExperimentManager) -> None:
    manager.start_experiment("c", {"rate": math.inf}, {})
    manager.log_metrics({"loss": [1.0, math.nan], "worst": [-math.inf]})

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    text = (manager.log_dir / "c.json").read_text()
    (entry,) = json.loads(text, parse_constant=refuse)
    assert entry["metrics"] == {"loss": [1.0, None], "worst": [None]}
    assert entry["not_finite"] == {"loss": {"1": "nan"}, "worst": {"0": "-inf"}}
    (read,) = manager.read_history("c")
    assert read["metrics"]["loss"] == pytest.approx([1.0, math.nan], nan_ok=True)
    assert read["metrics"]["worst"] == [-math.inf]
    assert "not_finite" not in read


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\\b", "c:x", "a\nb", "é" * 130])
def test_ids_stay_in_the_folder(manager: ExperimentManager, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        manager.start_experiment("c", {}, {}, experiment_id=name)
    with pytest.raises(ValueError, match="cannot be"):
        manager.read_history(name)


def test_a_value_that_json_cannot_hold_is_named(manager: ExperimentManager) -> None:
    with pytest.raises(TypeError, match=r"^hyperparameters\.net\.layers\[1\] is of type object"):
        manager.start_experiment("c", {"net": {"layers": [1, object()]}}, {})
    assert list(manager.log_dir.iterdir()) == []


def test_a_metric_that_is_no_number_is_in_the_history_alone(manager: ExperimentManager) -> None:
    manager.start_experiment("c", {}, {})
    manager.log_metrics({"loss": [1.0], "stage": "warm", "label": ["a", "b"]})
    with pytest.raises(TypeError, match="^metric loss is of type object"):
        manager.log_metrics({"loss": object()})
    manager.close()
    kept = {"loss": [1.0], "stage": "warm", "label": ["a", "b"]}
    assert manager.read_history("c")[0]["metrics"] == kept
    (folder,) = all_runs(manager.log_dir)
    assert specplan.open(folder.path).metrics().arrow.column("name").to_pylist() == ["loss"]


def test_a_history_of_another_tool_goes_on(manager: ExperimentManager) -> None:
    entry = '{"version": 3, "metrics": {"loss": [NaN, 0.5, -Infinity]}}'
    (manager.log_dir / "old.json").write_text(f"[{entry}]", encoding="utf-8")
    assert manager.start_experiment("old", {}, {}).version == 4
    loss = manager.read_history("old")[0]["metrics"]["loss"]
    assert math.isnan(loss[0])
    assert loss[1:] == [0.5, -math.inf]


def test_a_damaged_history_is_named_and_kept(manager: ExperimentManager) -> None:
    path = manager.log_dir / "c.json"
    for text, what in {'[{"version": 1,': "is damaged", "[{}]": "is no history"}.items():
        path.write_text(text)
        with pytest.raises(RunError, match=rf"c\.json {what}"):
            manager.start_experiment("c", {}, {})
        assert path.read_text() == text


def test_two_managers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    first, second = ExperimentManager(tmp_path), ExperimentManager(tmp_path)
    first.start_experiment("c", {}, {})
    second.start_experiment("c", {}, {})
    first.log_metrics({"loss": [1]})
    second.log_metrics({"loss": [2]})
    first.add_checkpoint("a")
    assert [entry["metrics"]["loss"] for entry in first.read_history("c")] == [[1], [2]]
    assert [entry["checkpoints"] for entry in second.read_history("c")] == [["a"], []]


START = """
import sys
from specplan import ExperimentManager
manager = ExperimentManager(sys.argv[1])
print(manager.start_experiment("c", {}, {}).version)
manager.log_metrics({"loss": [1.0]})
"""

AT_ONCE = """
import os, sys
from specplan import ExperimentManager
waiting, begin = os.pipe()
for _ in range(int(sys.argv[2])):
    if os.fork() == 0:
        os.close(begin)
        os.read(waiting, 1)  # returns in all of them at once: nobody can write any more
        manager = ExperimentManager(sys.argv[1])
        print(manager.start_experiment("c", {}, {}).version)
        manager.log_metrics({"loss": [1.0]})
        sys.exit()
os.close(begin)
while True:
    try:
        assert os.wait()[1] == 0
    except ChildProcessError:
        break
"""


def test_processes_that_start_at_once_get_versions_of_their_own(tmp_path: Path) -> None:
    count = 50
    command = [sys.executable, "-c", AT_ONCE, str(tmp_path), str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert sorted(map(int, done.stdout.split())) == list(range(1, count + 1))
    history = ExperimentManager(tmp_path).read_history("c")
    assert [entry["metrics"] for entry in history] == [{"loss": [1.0]}] * count
    assert {specplan.open(folder.path).status for folder in all_runs(tmp_path)} == {"completed"}


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("pass", "completed"),
        ("raise ValueError('no')", "failed"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "interrupted"),
    ],
)
def test_the_end_of_the_program_is_that_of_its_run(
    tmp_path: Path, ending: str, status: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + ending, str(tmp_path)], capture_output=True, check=False
    )
    assert (done.returncode == 0, done.returncode == -signal.SIGKILL) == (
        status == "completed",
        status == "interrupted",
    )
    (folder,) = all_runs(tmp_path)
    run = specplan.open(folder.path)
    assert run.status == status
    assert run.metrics("loss").arrow.column("value").to_pylist() == [1.0]
    assert ExperimentManager(tmp_path).read_history("c")[0]["metrics"] == {"loss": [1.0]}
