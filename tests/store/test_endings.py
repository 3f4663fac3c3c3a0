"""Writers that are forked, interrupted, or left by their interpreter: what was recorded is on file."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from specplan._native import StoreReader
from tests.store.live_writer import check_prefix, start_writer

if TYPE_CHECKING:
    from pathlib import Path

TRIALS = int(os.environ.get("SPECPLAN_ENDINGS", "5"))
SIZES = [3, 40, 0, 7]

PRELUDE = """
import os, signal, sys, threading, time, numpy as np
from specplan._native import Store, StoreReader
from specplan.errors import StoreError
folder = sys.argv[1]
options = dict(flush_milliseconds=60_000)
store = Store.create(folder, run_id="r", **options)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="int64", shape=[])
def record(start, end):
    for batch in range(start, end):
        values.record(np.arange(7) + batch, 0, batch)
"""


def run_program(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + program, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )


def batches(path: Path) -> int:
    """Batches on file, all of them as they were recorded."""
    reader = StoreReader.open(str(path))
    assert reader.verify() == []
    (tensor,) = reader.tensors()
    for batch in range(tensor.batches):
        assert (tensor.get(0, batch) == np.arange(7) + batch).all()
    return tensor.batches


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.timeout(60 + 5 * TRIALS)
def test_a_signal_at_any_moment(tmp_path: Path, number: signal.Signals) -> None:
    generator = random.Random(number)
    for trial in range(TRIALS):
        path = tmp_path / str(trial)
        writer = start_writer(path, ",".join(map(str, SIZES)), 10**9)
        time.sleep(generator.uniform(0, 0.2))
        writer.send_signal(number)
        try:
            assert writer.wait(timeout=240) == -number
        finally:
            writer.kill()
        check_prefix(path, SIZES)
        # An interrupted interpreter ends in order; a terminated process has no time for that.
        assert StoreReader.open(str(path)).closed == (number == signal.SIGINT)


def test_a_full_queue_is_written_when_the_interpreter_ends(tmp_path: Path) -> None:
    program = """
wide = store.tensor(phase="train", node="M", role="default", field="wide", dtype="uint8", shape=[1 << 20])
record(0, 1000)
for batch in range(50):
    wide.record(np.full((1, 1 << 20), batch, np.uint8), 0, batch)
record(1000, 2000)
"""
    finished = run_program(program, tmp_path)
    assert finished.returncode == 0, finished.stderr
    reader = StoreReader.open(str(tmp_path))
    assert (reader.watermark, reader.closed) == (2050, True)
    assert reader.verify() == []
    assert all((reader.tensors()[1].get(0, batch) == batch).all() for batch in range(50))


@pytest.mark.parametrize(
    ("ending", "code"),
    [("os._exit(5)", 5), ("os.abort()", -signal.SIGABRT)],
    ids=["exit", "abort"],
)
def test_a_process_that_leaves_at_once_keeps_what_was_synced(
    tmp_path: Path, ending: str, code: int
) -> None:
    finished = run_program(f"record(0, 100); store.sync(); record(100, 200); {ending}", tmp_path)
    assert finished.returncode == code, finished.stderr
    assert 100 <= batches(tmp_path) <= 200


@pytest.mark.parametrize(
    "failure",
    [
        "raise RuntimeError('in the loop')",
        "record(300, 310); 1 / 0",
        "threading.Thread(target=lambda: 1 / 0).start(); sys.exit(1)",
        "values.record(np.zeros(3), 0, 300)",
    ],
    ids=["raise", "division", "thread", "wrong"],
)
def test_an_exception_in_the_loop_loses_nothing(tmp_path: Path, failure: str) -> None:
    finished = run_program(f"record(0, 300)\n{failure}", tmp_path)
    assert finished.returncode == 1
    assert batches(tmp_path) >= 300
    assert StoreReader.open(str(tmp_path)).closed


FORKS = {
    "before the first record": "pass",
    "with staged records": "record(0, 50)",
    "while the drainer writes": "record(0, 50); threading.Thread(target=store.sync).start()",
    "after a sync": "record(0, 50); store.sync()",
    "while a thread records": "threading.Thread(target=record, args=(0, 50)).start()",
    "while a thread reads": (
        "record(0, 50); store.sync();"
        "threading.Thread(target=lambda: [StoreReader.open(folder) for _ in range(50)]).start()"
    ),
}

CHILDREN = {
    "exits": "os._exit(0)",
    "ends": "sys.exit(0)",
    "raises": "raise SystemExit('' if False else 0)",
    "drops the writer": "del values, record, store; sys.exit(0)",
    "closes it": "store.close(); os._exit(0)",
    "reads": "reader = StoreReader.open(folder); reader.tensors(); os._exit(0)",
    "writes its own": (
        "other = Store.create(folder + '.child', run_id='c');"
        "own = other.tensor(phase='p', node='n', role='r', field='f', dtype='int64', shape=[]);"
        "own.record(np.arange(3), 0, 0); other.close();"
        "assert StoreReader.open(folder + '.child').watermark == 1; sys.exit(0)"
    ),
}


@pytest.mark.parametrize("child", CHILDREN.values(), ids=CHILDREN)
@pytest.mark.parametrize("state", FORKS.values(), ids=FORKS)
def test_a_fork(tmp_path: Path, state: str, child: str) -> None:
    program = f"""
{state}
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        {child}
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0, 0, 0], codes
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()
record(50, 60)
"""
    if child == CHILDREN["writes its own"]:
        program = program.replace("range(3)", "range(1)").replace("[0, 0, 0]", "[0]")
    finished = run_program(program, tmp_path / "records")
    assert finished.returncode == 0, finished.stderr
    reader = StoreReader.open(str(tmp_path / "records"))
    assert reader.closed
    assert reader.verify() == []
    first = 50 if state == "pass" else 0
    found = reader.tensors()[0].index()["batch"].tolist()
    assert sorted(found) == list(range(first, 60))


def test_a_store_that_could_not_be_locked_closes_no_file_in_a_fork(tmp_path: Path) -> None:
    program = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
try:
    Store.create(folder + "-full", run_id="r")
except StoreError as error:
    print("File too large" in str(error) and ".lock" in str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
files = [open(os.devnull) for _ in range(50)]
child = os.fork()
if child == 0:
    os._exit(sum(not os.path.exists(f"/proc/self/fd/{file.fileno()}") for file in files))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = run_program(program, tmp_path / "store")
    assert done.stdout.split() == ["True", "0"], done.stderr
