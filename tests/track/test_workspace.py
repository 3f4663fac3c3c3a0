"""`with experiment(workdir, id)`, and `mlx experiments`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import specplan
from specplan.cli.main import group
from specplan.errors import DirtyGitError
from specplan.experiments import DirtyGitAction, experiment
from specplan.results.locate import runs_of
from specplan.results.standing import sparkline
from specplan.spec.configuration import RunMode

if TYPE_CHECKING:
    from pathlib import Path


def mlx(*words: str) -> str:
    done = CliRunner().invoke(group, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_an_experiment_is_a_run(tmp_path: Path) -> None:
    with experiment(tmp_path, "my-experiment", dirty_git=DirtyGitAction.IGNORE) as xp:
        xp.set_params({"rate": 0.1})
        xp.log_metrics({"loss": 0.5})
        xp.log_metrics({"loss": 0.25})
        running = json.loads((tmp_path / "xp/my-experiment/informations.json").read_text())
    assert running["status"] == "running"
    run = specplan.open("my-experiment", root=tmp_path)
    assert run.status == "completed"
    assert run.metrics("loss").arrow.column("step").to_pylist() == [0, 1]
    told = json.loads((tmp_path / "xp/my-experiment/informations.json").read_text())
    host = run.run_file.sessions[0].host
    assert told == {"hostname": host, "run_id": run.id, "status": "completed"}
    assert (
        mlx("experiments", "--workdir", str(tmp_path), "list")
        == f"my-experiment [{host}] (0/0 jobs)\n"
    )
    assert mlx("experiments", "list", "--workdir", str(tmp_path)).endswith("(0/0 jobs)\n")
    line = mlx("experiments", "--workdir", str(tmp_path), "monitor", "--console", "--once")
    assert line == f"my-experiment/{run.id} [{host}] completed 0/0 loss=0.25\n"


def test_an_exception_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), experiment(tmp_path, "x", dirty_git="ignore"):
        raise ValueError("no")
    assert specplan.open("x", root=tmp_path).status == "failed"


def test_a_run_that_cannot_begin_holds_no_lock(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="codepoints"),
        experiment(tmp_path, "x", dirty_git="ignore", tags={"name": "\ud800"}),
    ):
        pass
    with experiment(tmp_path, "x", dirty_git="ignore"):
        pass
    assert specplan.open("x", root=tmp_path).status == "completed"


def test_a_second_process_waits_for_the_end_of_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def run() -> None:
        with experiment(tmp_path, "x", dirty_git="ignore"):
            pass

    second = threading.Thread(target=run)
    with experiment(tmp_path, "x", dirty_git="ignore"):
        second.start()
        while "`x` is run by another process; waiting for its end" not in caplog.text:
            time.sleep(0.01)
        assert len([*runs_of(tmp_path / "x")]) == 1
    second.join()
    assert len([*runs_of(tmp_path / "x")]) == 2


def test_a_run_whose_records_cannot_be_written_has_failed(tmp_path: Path) -> None:
    program = (
        "import resource, signal\n"
        "from specplan.experiments import experiment\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with experiment('work', 'x', dirty_git='ignore') as xp:\n"
        "    xp.set_params({'kept': 1})\n"
        "    xp.log_metrics({'kept': 1.0})\n"
        "    xp.run.sync()\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))\n"
        "    for step in range(100_000):\n"
        "        xp.log_metrics({'loss': 1.0, 'time': float(step)})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    run = specplan.open("x", root=tmp_path / "work")
    assert run.status == "failed"
    assert run.run_file.error is not None
    assert run.run_file.error.type == "StoreError"
    assert "File too large" in run.folder.error_log.read_text("utf-8")
    assert run.metrics("kept").arrow.column("value").to_pylist() == [1.0]


@pytest.mark.parametrize("mode", ["DRY_RUN", "generate_only", RunMode.PREPARE])
def test_other_modes_write_nothing(tmp_path: Path, mode: str) -> None:
    with (
        experiment(tmp_path / "work", "x", run_mode=mode, dirty_git="ignore") as xp,
        pytest.raises(RuntimeError, match="there is no run"),
    ):
        xp.log_metrics({"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_a_dirty_repository_leaves_no_folder(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / "new.py").touch()
    work = tmp_path / "work"
    with pytest.raises(DirtyGitError, match=r"1 untracked \(new\.py\)"):
        experiment(work, "x", project_paths=[project], dirty_git="ERROR").__enter__()
    assert not work.exists()
    with experiment(work, "x", run_mode="dry_run", project_paths=[project], dirty_git="error"):
        pass


def test_what_is_unknown_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run_mode is .*`NORMAL`.*, not `fast`"):
        experiment(tmp_path, "x", run_mode="fast")
    with pytest.raises(ValueError, match="cannot be the name"):
        experiment(tmp_path, "../x")


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with experiment(tmp_path, "x", dirty_git="ignore"):
            order.append("second")

    with experiment(tmp_path, "x", dirty_git="ignore"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_the_monitor_prints_what_changes(tmp_path: Path) -> None:
    start = "from specplan.cli.start import main; main()"
    command = [sys.executable, "-c", start, "experiments", "monitor", "--every", "0.1"]
    with experiment(tmp_path, "x", dirty_git="ignore") as xp:
        xp.log_metrics({"loss": 0.5})
        xp.run.sync()
        watching = subprocess.Popen(
            [*command, "--workdir", str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert watching.stdout is not None
        assert watching.stdout.readline().endswith("running 0/0 loss=0.5\n")
        xp.log_metrics({"loss": 0.25})
        assert watching.stdout.readline().endswith("running 0/0 loss=0.25\n")
    assert watching.stdout.readline().endswith("completed 0/0 loss=0.25\n")
    watching.terminate()
    watching.communicate()


def test_sparklines() -> None:
    assert sparkline((0.0, 1.0, 2.0, 3.0)) == "▁▃▆█"
    assert sparkline((1.0, float("nan"), 1.0)) == "▁ ▁"
    assert sparkline(()) == ""
