"""Many processes that make runs in one place, and some of them are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from specplan._native import StoreReader
from specplan.store.run_file import RunFile

LANES = 8
RUNS = int(os.environ.get("SPECPLAN_RUNS", "5"))
BATCHES = 200
ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from specplan._native import Store
from specplan.errors import StoreError
from specplan.store.run_file import Status
from specplan.store.run_files import Surroundings, create_run
from tests.run import specs

root, lanes, runs, batches = Path(sys.argv[1]), *map(int, sys.argv[2:])
compiled = specs.compiled(specs.train())

def refused(folder):
    start = time.monotonic()
    try:
        Store.create(folder, run_id="second")
    except StoreError as error:
        assert f"is being written by process {os.getppid()}" in str(error), error
        assert time.monotonic() - start < 1
        os._exit(0)
    os._exit(1)

def run(lane, number):
    generator = random.Random(f"{lane} {number}")
    death = generator.randrange(batches) if (lane + number) % 4 == 0 else None
    journal = create_run(root, compiled, Surroundings())
    folder = str(journal.folder.records)
    store = Store.create(folder, run_id=journal.run_file.run_id, flush_milliseconds=2)
    values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="float32", shape=[8])
    loss = store.metrics([("train", None, None, "loss")])
    second = os.fork()
    if second == 0:
        refused(folder)
    assert os.waitpid(second, 0)[1] == 0
    for batch in range(batches):
        if batch == death:
            os.kill(os.getpid(), signal.SIGKILL)
        values.record(np.full((5, 8), batch, np.float32), 0, batch)
        loss.log(np.array([float(batch)]), 0, batch, batch)
        if batch % 50 == 0:
            time.sleep(0.002)
    store.close()
    journal.ended(Status.COMPLETED, error=None, statistics=store.statistics())

def waited(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def in_a_process(call, *arguments):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            call(*arguments)
            code = 0
        finally:
            os._exit(code)
    return child

def lane(number):
    for run_number in range(runs):
        expected = -signal.SIGKILL if (number + run_number) % 4 == 0 else 0
        assert waited(in_a_process(run, number, run_number)) == expected

codes = [waited(child) for child in [in_a_process(lane, number) for number in range(lanes)]]
assert codes == [0] * lanes, codes
"""


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * RUNS)
def test_runs_do_not_harm_each_other(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path, *map(str, (LANES, RUNS, BATCHES))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240 + 10 * RUNS,
    )
    assert finished.returncode == 0, finished.stderr
    folders = sorted(tmp_path.glob("*/[!.]*"))
    files = [
        msgspec.json.decode((folder / "run.json").read_bytes(), type=RunFile) for folder in folders
    ]
    assert len(files) == LANES * RUNS
    assert len({file.run_id for file in files}) == LANES * RUNS
    assert sorted(file.version for file in files) == list(range(1, LANES * RUNS + 1))
    killed = 0
    for folder, file in zip(folders, files, strict=True):
        reader = StoreReader.open(str(folder / "records"))
        assert reader.verify() == []
        assert reader.closed == (file.status == "completed")
        killed += not reader.closed
        (tensor,) = reader.tensors()
        for batch in range(tensor.batches):
            assert (tensor.get(0, batch) == batch).all()
        if reader.closed:
            assert reader.watermark == 2 * BATCHES
    assert killed == sum((lane + run) % 4 == 0 for lane in range(LANES) for run in range(RUNS))
