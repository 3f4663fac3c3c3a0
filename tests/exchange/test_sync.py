"""Runs that are sent to other tools: nothing twice, and nothing left out."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import specplan
from specplan import LocalExperimentTracker, MLflowTracker
from specplan.errors import RunError
from specplan.exchange.targets import Target
from specplan.store.checked_json import encode_checked
from specplan.store.run_file import Status
from specplan.track.run import TrackedRun
from tests.serve.conftest import TOKEN, running

if TYPE_CHECKING:
    from collections.abc import Callable

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own libraries


def tracked(root: Path, *, values: int = 3) -> TrackedRun:
    """A run that goes on."""
    run = TrackedRun.start(root, "exp/one", tags={"team": "blue", "bare": None}, description="why")
    run.set_params({"lr": 0.1, "net": {"depth": 3}, "long": "x" * 7000})
    for step in range(values):
        run.log_metrics({"loss": 1 / (step + 1)}, step=step, split="train")
    run.log_metrics({"odd": math.nan}, step=0)
    run.log_metrics({"odd": math.inf}, step=1)
    run.log_metrics({"odd": -math.inf}, step=2)
    run.log_artifact("notes/a.txt", "one")
    return run


def in_mlflow(uri: str, name: str) -> list[Any]:
    """The runs of an experiment in MLflow."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    return list(client.search_runs([experiment.experiment_id]))


def history(uri: str, run_id: str, name: str) -> list[tuple[int, float]]:
    """Steps and values of a metric in MLflow, in the order of the steps."""
    from mlflow import MlflowClient

    return sorted(
        (each.step, each.value) for each in MlflowClient(uri).get_metric_history(run_id, name)
    )


def test_mlflow_gets_what_it_does_not_have(mlflow_database: str, tmp_path: Path) -> None:
    run = tracked(tmp_path / "runs")
    run.sync()
    target = Target.of(f"mlflow:{mlflow_database}")
    opened = specplan.open(run.folder.path)
    would = target.send(opened, dry_run=True)
    assert target.send(opened) == would
    assert (would.params, would.metrics, would.artifacts) == (2, 6, 1)
    assert would.refused == ("the param `long` has 7000 characters; MLflow keeps 6000",)
    (there,) = in_mlflow(mlflow_database, "exp/one")
    assert there.info.status == "RUNNING"

    run.log_metrics({"loss": 0.0}, step=3, split="train")
    run.log_artifact("notes/a.txt", "two")
    run.end(Status.FAILED)
    again = target.send(opened.refresh())
    assert (again.params, again.metrics, again.artifacts) == (0, 1, 1)
    (there,) = in_mlflow(mlflow_database, "exp/one")
    assert there.info.status == "FAILED"
    assert there.info.run_name == run.id
    assert there.data.params == {"lr": "0.1", "net.depth": "3"}
    tags = {"team": "blue", "bare": "", "mlflow.note.content": "why"}
    assert tags.items() <= there.data.tags.items()
    loss = history(mlflow_database, there.info.run_id, "train/loss")
    assert loss == [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, 0.0)]
    odd = [str(value) for _, value in history(mlflow_database, there.info.run_id, "odd")]
    assert odd == ["nan", str(sys.float_info.max), str(-sys.float_info.max)]
    artifacts = Path(there.info.artifact_uri.removeprefix("file://"))
    assert (artifacts / "notes/a.txt").read_text() == "two"


@pytest.mark.slow
def test_a_server_that_hangs_changes_no_training_and_gets_the_rest_later(
    mlflow_database: str, mlflow_server: str, mlflow_server_group: int, tmp_path: Path, caplog: Any
) -> None:
    del mlflow_database  # it leaves MLflow as it was
    tracker = MLflowTracker(mlflow_server, "hanging", root=tmp_path, patience=1)
    run_id = tracker.start_run("r")
    tracker.log_metrics({"loss": 1.0}, step=0)
    os.killpg(mlflow_server_group, signal.SIGSTOP)
    try:
        for step in range(1, 50):
            tracker.log_metrics({"loss": 1.0 / step}, step=step)
        tracker.log_params({"rate": 0.5})
        folder = tracker.run_dir
        tracker.end_run()
        assert tracker.missed in (50, 51)  # the first value may have come before
    finally:
        os.killpg(mlflow_server_group, signal.SIGCONT)
    assert folder is not None
    assert f"`mlx sync {folder} --to mlflow:{mlflow_server}` sends them" in caplog.text
    run = specplan.open(folder)
    assert run.status == "completed"

    target = Target.of(f"mlflow:{mlflow_server}")
    target.send(run)
    (there,) = in_mlflow(mlflow_server, "hanging")
    assert there.info.run_id == run_id
    assert there.info.status == "FINISHED"
    assert there.data.params == {"rate": "0.5"}
    expected = [(0, 1.0), *((step, 1.0 / step) for step in range(1, 50))]
    assert history(mlflow_server, run_id, "loss") == expected
    assert target.send(run).metrics == 0


@pytest.mark.slow
def test_a_sync_that_is_killed_goes_on(mlflow_server: str, tmp_path: Path) -> None:
    run = tracked(tmp_path, values=5_000)
    run.end()
    words = ["sync", str(run.folder.path), "--to", f"mlflow:{mlflow_server}"]
    program = "import sys; from specplan.cli.main import main; main(sys.argv[1:])"
    first = subprocess.Popen([sys.executable, "-c", program, *words])
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_server)
    while first.poll() is None:
        experiment = client.get_experiment_by_name("exp/one")
        if experiment and any(
            each.data.metrics for each in client.search_runs([experiment.experiment_id])
        ):
            break
        time.sleep(0.05)
    first.kill()
    first.wait()
    target = Target.of(f"mlflow:{mlflow_server}")
    target.send(specplan.open(run.folder.path))
    (there,) = in_mlflow(mlflow_server, "exp/one")
    assert there.info.status == "FINISHED"
    found = history(mlflow_server, there.info.run_id, "train/loss")
    assert found == [(step, 1 / (step + 1)) for step in range(5_000)]


KILLED = """
import os, signal, sys, time
import specplan

tracker = specplan.MLflowTracker(sys.argv[1], "killed", root="runs")
tracker.start_run("r")
for step in range(300):
    tracker.log_metrics({"loss": 1 / (step + 1)}, step=step)
print(tracker.run_dir, flush=True)
while specplan.open(tracker.run_dir).metrics().arrow.num_rows < 300:
    time.sleep(0.05)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_tracker_that_is_killed_loses_nothing(mlflow_database: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, mlflow_database]
    killed = subprocess.run(words, stdout=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    run = specplan.open(tmp_path / killed.stdout.strip())
    target = Target.of(f"mlflow:{mlflow_database}")
    target.send(run)
    (there,) = in_mlflow(mlflow_database, "killed")
    assert (there.info.run_name, there.info.status) == ("r", "KILLED")
    assert "mlflow.note.content" not in there.data.tags
    found = history(mlflow_database, there.info.run_id, "loss")
    assert found == [(step, 1 / (step + 1)) for step in range(300)]
    assert target.send(run).metrics == 0


def test_a_run_of_a_tracker_is_sent_to_another_mlflow_too(
    mlflow_database: str, tmp_path: Path
) -> None:
    shutil.copyfile(tmp_path / "mlflow.db", tmp_path / "other.db")
    (tmp_path / "notes.txt").write_text("x")
    tracker = MLflowTracker(mlflow_database, "moved", root=tmp_path / "runs", patience=60)
    tracker.start_run("r")
    tracker.log_metrics({"loss": 0.5}, step=0)
    tracker.log_artifact(tmp_path / "notes.txt")
    folder = tracker.run_dir
    tracker.end_run()
    assert folder is not None
    (folder / "artifacts/notes.txt").unlink()
    outcome = Target.of(f"mlflow:sqlite:///{tmp_path / 'other.db'}").send(specplan.open(folder))
    assert (outcome.metrics, outcome.artifacts) == (1, 0)
    assert outcome.refused == ("the file of the artifact `notes.txt` is gone",)
    again = Target.of(f"mlflow:{mlflow_database}").send(specplan.open(folder))
    assert (again.metrics, len(in_mlflow(mlflow_database, "moved"))) == (0, 1)


def test_tensorboard_reads_what_it_gets(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = LocalExperimentTracker(tmp_path / "runs/exp")
    tracker.start_run("r")
    tracker.log_params({"lr": 0.1, "name": "x"})
    tracker.log_metrics({"loss": 0.5, "odd": math.nan}, step=7)
    tracker.log_metrics({"loss": math.inf}, step=8)
    tracker.end_run()
    run = specplan.open(tmp_path / "runs/exp/r")
    target = Target.of(f"tensorboard:{tmp_path / 'events'}")
    assert target.send(run).metrics == 3
    (file,) = (tmp_path / "events/exp/r").iterdir()
    written = file.stat().st_mtime_ns
    assert target.send(run).metrics == 0
    assert file.stat().st_mtime_ns == written
    found = EventAccumulator(str(file.parent)).Reload()
    assert [(each.step, each.value) for each in found.Scalars("loss")] == [(7, 0.5), (8, math.inf)]
    assert math.isnan(found.Scalars("odd")[0].value)
    assert (
        "hparams" in found.summary_metadata["_hparams_/session_start_info"].plugin_data.plugin_name
    )


def test_the_command_says_what_it_sends(mlx: Mlx, tmp_path: Path) -> None:
    run = tracked(tmp_path / "runs")
    run.end()
    words = ("sync", "exp/one", "--root", "runs", "--to", "tensorboard:events")
    line = f"exp/one/{run.id}  tensorboard:events  3 params, 6 values of metrics, 0 artifacts\n"
    would = mlx(*words, "--dry-run", folder=tmp_path)
    assert (would.returncode, would.stdout) == (0, line)
    assert not (tmp_path / "events").exists()
    done = mlx(*words, folder=tmp_path)
    assert done.stdout == line
    assert done.stderr == (
        f"not sent of exp/one/{run.id}: TensorBoard keeps no artifacts, of which there are 1\n"
    )
    again = mlx(*words, "--json", folder=tmp_path)
    assert json.loads(again.stdout)[0]["metrics"] == 0


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            "mlfow:x",
            "no place `mlfow:x`; a place begins with `mlflow:`, `tensorboard:`, `http:` or `https:`; did you mean",
        ),
        ("tensorboard", "`tensorboard` does not say where, as `tensorboard:events` does"),
    ],
)
def test_a_place_that_is_none_is_said(mlx: Mlx, tmp_path: Path, place: str, said: str) -> None:
    result = mlx("sync", "x", "--to", place, folder=tmp_path)
    assert result.returncode == 2
    assert said in result.stderr


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    run.end()
    with pytest.raises(RunError, match=r"^MLflow at http://127\.0\.0\.1:9: ") as refusal:
        Target.of("mlflow:http://user:sec@ret@127.0.0.1:9").send(specplan.open(run.folder.path))
    assert "ret@" not in str(refusal.value)


@pytest.mark.parametrize("name", ["../outside", "{folder}/outside"])
def test_a_run_of_a_stranger_does_not_choose_where_it_is_written(tmp_path: Path, name: str) -> None:
    run = tracked(tmp_path)
    run.end()
    experiment = name.format(folder=tmp_path)
    forged = msgspec.structs.replace(run.run_file, experiment=experiment)
    run.folder.run_file.write_bytes(encode_checked(forged))
    with pytest.raises(RunError, match="does not lie below"):
        Target.of(f"tensorboard:{tmp_path}/events").send(specplan.open(run.folder.path))
    assert not (tmp_path / "outside").exists()


def test_a_server_of_ours_is_a_place(
    mlx: Mlx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tracked(tmp_path / "here")
    run.end()
    with running(tmp_path / "there") as server:
        monkeypatch.setenv("SPECPLAN_TOKEN", TOKEN)
        words = ("sync", "exp/one", "--root", "here", "--to", server.url)
        would, sent, again, nothing = (
            json.loads(mlx(*words, *more, "--json", folder=tmp_path).stdout)[0]
            for more in (("--dry-run",), (), (), ("--dry-run",))
        )
    assert [each["metrics"] for each in (would, sent, again, nothing)] == [6, 6, 0, 0]
    assert [each["params"] for each in (would, sent, again, nothing)] == [3, 3, 0, 0]
    assert [each["artifacts"] for each in (would, nothing)] == [sent["artifacts"], 0]
    assert specplan.open("exp/one", root=tmp_path / "there").metrics("odd").arrow.num_rows == 3


def test_the_tables_of_a_run_are_written_as_csv(mlx: Mlx, tmp_path: Path) -> None:
    run = tracked(tmp_path / "runs")
    run.end()
    done = mlx("export", "exp/one", "--root", "runs", "--to", "csv", folder=tmp_path)
    file = f"runs/exp/one/{run.id}/tables/metrics.csv"
    assert done.stdout == f"{file}  6 rows\n"
    lines = (tmp_path / file).read_text().splitlines()
    assert lines[0].startswith('"run_id","session","phase"')
    assert [line.rpartition(",")[2] for line in lines[4:]] == ["nan", "inf", "-inf"]
    sent = mlx("export", "exp/one", "--root", "runs", "--to", "tensorboard:events", folder=tmp_path)
    assert (sent.returncode, len(list((tmp_path / "events").rglob("*tfevents*")))) == (0, 1)
    wrong = mlx("export", "exp/one", "--root", "runs", "--to", "excel", folder=tmp_path)
    assert wrong.returncode == 2
