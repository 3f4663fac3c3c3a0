"""A sweep that is stopped and killed goes on where it was, and ends with the bits of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from specplan.cli.sweep_display import Quiet
from specplan.plan.passes.context import READ_ONLY
from specplan.results.open import open_run
from specplan.results.status import read_run_file, status_now
from specplan.spec.composition import Composition
from specplan.store.layout import RunFolder
from specplan.store.run_file import Status
from specplan.sweep.engine import sweep_through
from specplan.sweep.spec import read_sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from specplan.plan.model import Compiled
    from specplan.store.sweep_file import SweepPoint

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

SECONDS_OF_PATIENCE = 240.0
VALUES = ("phase", "name", "epoch", "batch", "step", "value")


@pytest.fixture
def sweep(project: Path, spec: dict[str, Any]) -> Path:
    """A folder with a sweep of two runs that take a few seconds each."""
    spec["plan"][0]["epochs"] = 1500
    spec["plan"][0]["record"] = "none"
    spec["sweep"] = {"vary": {"graph.optimizer.lr": [0.001, 0.002]}, "metric": "test/mse"}
    (project / "sweep.json").write_text(json.dumps(spec))
    return project


def begun(folder: Path) -> subprocess.Popen[bytes]:
    """The command, in a process of its own."""
    command = [sys.executable, "-P", "-m", "specplan.cli.main", "sweep", "sweep.json", "--quiet"]
    environment = {key: item for key, item in os.environ.items() if key != "SPECPLAN_HOME"}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def wait_for(folder: Path, run: int, status: Status) -> None:
    """Until a run of the sweep stands so."""
    until = time.monotonic() + SECONDS_OF_PATIENCE
    while time.monotonic() < until:
        for path in (folder / "runs/line").glob(f"2*-{run:03}/run.json"):
            if status_now(read_run_file(RunFolder(path.parent))) is status:
                return
        time.sleep(0.02)
    pytest.fail(f"run {run} is not {status}")


def metrics(folder: Path, root: str, run: int) -> list[tuple[Any, ...]]:
    """What a run has measured, without its times."""
    [path] = (folder / root / "line").glob(f"2*-{run:03}")
    rows = open_run(path).metrics().arrow
    return [*zip(*(rows.column(name).to_pylist() for name in VALUES), strict=True)]


class Signalled(Quiet):
    """Shows a run that begins while a signal comes."""

    def __init__(self) -> None:
        self.is_showing = False
        self.told = 0

    def run_began(self, point: SweepPoint, compiled: Compiled, *, goes_on: bool) -> None:
        del point, compiled, goes_on
        self.is_showing = True
        os.kill(os.getpid(), signal.SIGTERM)
        self.is_showing = False

    def stopping(self) -> None:
        assert not self.is_showing
        self.told += 1


def test_a_signal_reaches_a_run_that_is_beginning_and_breaks_no_line(sweep: Path) -> None:
    view = Signalled()
    found = read_sweep(sweep / "sweep.json", Composition(), READ_ONLY)
    folder = sweep_through(found, sweep / "runs", jobs=1, view=view).folder
    assert view.told == 1
    assert Status.COMPLETED not in {folder.status_of(point) for point in folder.file.points}


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_was(mlx: Mlx, sweep: Path) -> None:
    killed = begun(sweep)
    wait_for(sweep, 0, Status.RUNNING)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    # The process that ran it sees that nobody is there any more, and leaves a checkpoint.
    wait_for(sweep, 0, Status.INTERRUPTED)

    stopped = begun(sweep)
    wait_for(sweep, 0, Status.RUNNING)
    busy = mlx("sweep", "sweep.json", folder=sweep)
    assert busy.returncode == 1
    assert "another process works on sweep" in busy.stderr
    wait_for(sweep, 1, Status.RUNNING)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait() == 75
    wait_for(sweep, 0, Status.COMPLETED)
    wait_for(sweep, 1, Status.INTERRUPTED)

    whole = mlx("sweep", "sweep.json", folder=sweep)
    assert whole.returncode == 0, whole.stderr
    assert "lr=0.001: is completed already" in whole.stderr
    assert "lr=0.002: goes on" in whole.stderr

    # Not one after the other, in two processes, and without a break.
    other = mlx("sweep", "sweep.json", "-j", "2", "--root", "other", folder=sweep)
    assert other.returncode == 0, other.stderr
    for run in range(2):
        assert metrics(sweep, "runs", run) == metrics(sweep, "other", run)
    assert len(open_run("line", root=sweep / "runs").run_file.sessions) == 2
