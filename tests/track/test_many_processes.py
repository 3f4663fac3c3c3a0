"""Several processes at work below one root, some of them killed, while others look and clear up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from specplan.results.locate import all_runs
from specplan.results.status import read_run_file
from specplan.results.verify import verify_run
from specplan.store.run_file import Status
from tests.cli.conftest import run_mlx

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES, RUNS = 8, 6
WORK = f"""
import sys, time
from pathlib import Path
from specplan.track.run import TrackedRun
for number in range({RUNS}):
    run = TrackedRun.start(Path("runs"), f"study-{{number % 2}}", tags={{"by": sys.argv[1]}})
    run.set_params({{"lr": number}})
    for step in range(20):
        run.log_metrics({{"loss": 1 / (step + 1)}}, step=step)
    run.log_artifact("note", "text")
    run.sync()
    print(number, flush=True)
    if sys.argv[2] == "killed" and number == 2:
        time.sleep(600)
    run.end()
"""


def test_nothing_is_damaged(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(number), "killed" if number % 4 == 0 else "whole"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for victim in workers[::4]:
        assert victim.stdout is not None
        assert [victim.stdout.readline() for _ in range(3)] == ["0\n", "1\n", "2\n"]
        look(tmp_path)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    while any(worker.poll() is None for worker in workers):
        look(tmp_path)
    for number, worker in enumerate(workers):
        worker.communicate()
        assert worker.returncode == (-signal.SIGKILL if number % 4 == 0 else 0)
    check(tmp_path)


def look(folder: Path) -> None:
    """What others do meanwhile. None of it may fail, or touch what goes on."""
    listed = run_mlx("list", "--json", "--columns", "run,status,metrics,params,tags", folder=folder)
    assert (listed.returncode, listed.stderr) == (0, "")
    cleared = run_mlx("gc", "--perform", "--json", folder=folder)
    assert (cleared.returncode, cleared.stderr) == (0, "")
    assert {each["kind"] for each in json.loads(cleared.stdout)["removed"]} <= {"leftover"}
    if (folder / "runs").exists() and any(all_runs(folder / "runs")):
        compared = run_mlx("compare", "study-*", "--json", folder=folder)
        assert (compared.returncode, compared.stderr) == (0, "")


def check(folder: Path) -> None:
    """Every run is whole, and counted once."""
    root = folder / "runs"
    run_mlx("gc", "--perform", folder=folder)
    found = [(each, read_run_file(each)) for each in all_runs(root)]
    assert len(found) == 6 * RUNS + 2 * 3
    for folder_of_run, run_file in found:
        verification = verify_run(folder_of_run)
        assert verification.damages == ()
        assert verification.metric_rows == 20
        assert run_file.status in (Status.COMPLETED, Status.RUNNING)
    for experiment in ("study-0", "study-1"):
        versions = [each.version for _, each in found if each.experiment == experiment]
        assert sorted(versions) == list(range(1, len(versions) + 1))
    listed = run_mlx("list", "--json", "--columns", "status,metrics,tags", folder=folder)
    rows = json.loads(listed.stdout)
    statuses = [row["status"] for row in rows]
    assert (statuses.count("completed"), statuses.count("interrupted")) == (6 * RUNS + 2 * 2, 2)
    assert {row["metrics"]["loss"] for row in rows} == {0.05}
    assert json.loads(run_mlx("gc", "--json", folder=folder).stdout)["removed"] == []
    around = [*root.glob(".*"), *root.glob("*/.*"), *root.glob("*/*/.*")]
    assert {path.name for path in around} <= {".index.msgpack"}
