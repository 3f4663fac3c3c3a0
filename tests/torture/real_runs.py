"""Kill `mlx run` at random moments and compare what it recorded with a run that nobody disturbed."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from specplan._native import StoreReader
from specplan.errors import StoreError
from tests.torture.figures import Row, Size
from tests.torture.tools import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.torture.tools import Tools

TRIALS = {Size.QUICK: 2, Size.LONG: 100}
TIMEOUT = 240.0
MLX = (sys.executable, "-m", "specplan.cli.main")
EPOCHS = 60

SPEC: dict[str, Any] = {
    "specplan": 1,
    "experiment": {"id": "killed"},
    "run": {"seed": 1, "threads": 1},
    "data": {
        "Data": {
            "source": {"use": "parquet", "path": "data.parquet"},
            "features": ["x"],
            "targets": ["y"],
            "splits": {"use": "random", "ratios": {"train": 0.8, "test": 0.2}, "seed": 1},
        }
    },
    "graph": {
        "nodes": {
            "Scaled": {"model": {"use": "sklearn.preprocessing:StandardScaler"}, "input": "Data.x"},
            "MLP": {
                "model": {"use": "mlp", "n_layers": 1, "hidden_dim": 16},
                "input": "Scaled",
                "target": "Data.y",
            },
        },
        "optimizer": {"use": "adam", "lr": 0.01},
    },
    "losses": {"mse": {"use": "mse", "node": "MLP"}},
    "plan": [
        {"phase": "fit", "label": "fit", "split": "train", "active": ["Scaled"]},
        {
            "phase": "train",
            "label": "train",
            "split": "train",
            "epochs": EPOCHS,
            "sampler": {"use": "simple", "batch_size": 8, "shuffle": True, "seed": 1},
            "losses": ["mse"],
        },
        {"phase": "eval", "label": "test", "split": "test", "losses": ["mse"]},
    ],
}

Records = dict[int, tuple[Any, ...]]
"""What was recorded, by sequence number."""


def write_project(folder: Path) -> None:
    """A spec with a torch and a scikit-learn node, and its data."""
    values = np.random.default_rng(1).standard_normal((200, 6)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(values.ravel(), 6)
    pq.write_table(pa.table({"x": column, "y": values.sum(1)}), folder / "data.parquet")
    (folder / "killed.json").write_text(json.dumps(SPEC))


def records_of(records: Path) -> tuple[int, Records]:
    """The watermark of a store, and everything in it but the times."""
    reader = StoreReader.open(str(records))
    found: Records = {}
    for tensor in reader.tensors():
        index = tensor.index()
        for position, sequence in enumerate(index["sequence"].tolist()):
            key = tuple(int(index[name][position]) for name in ("epoch", "batch"))
            labels = (tensor.phase, tensor.node, tensor.role, tensor.field)
            found[sequence] = (*labels, *key, tensor.at(position).tobytes())
    for path, *first, rows in reader.metric_files():
        table = pa.ipc.open_file(path).read_all().slice(first[0] if first else 0, rows)
        for row in table.drop_columns(["time", "crc32"]).to_pylist():
            sequence = row.pop("sequence")
            found[sequence] = (*found.get(sequence, ()), *row.items())
    return reader.watermark, found


def start(project: Path, root: Path) -> subprocess.Popen[bytes]:
    command = [*MLX, "run", "killed.json", "--quiet", "--root", str(root)]
    return subprocess.Popen(
        command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def records_folder(root: Path, process: subprocess.Popen[bytes]) -> Path:
    """Wait until the run has begun to train."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        for found in root.glob("*/*/records/train.*/channel.json"):
            return found.parent.parent
        time.sleep(0.002)
    raise TimeoutError("the run has not begun to record")


def kill_trial(project: Path, root: Path, delay: float, expected: Records) -> str | None:
    """Kill one run; what a reader has seen before has to be there afterwards, too."""
    process = start(project, root)
    try:
        records = records_folder(root, process)
        time.sleep(delay)
        seen = 0
        # The folder may be so young that it cannot be read yet.
        with contextlib.suppress(StoreError):
            seen = StoreReader.open(str(records)).watermark
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    watermark, found = records_of(records)
    if watermark < seen:
        return f"a reader saw {seen} records, {watermark} are left"
    due = {number: record for number, record in expected.items() if number <= watermark}
    different = [number for number in due | found if due.get(number) != found.get(number)]
    if different:
        return f"record {min(different)} is not what an undisturbed run has"
    return None


def kill_runs(scratch: Path, trials: int) -> Tally:
    """Kill runs at random moments between their first record and their end."""
    write_project(scratch)
    undisturbed = scratch / "undisturbed"
    process = start(scratch, undisturbed)
    records = records_folder(undisturbed, process)
    begun = time.monotonic()
    if process.wait(TIMEOUT):
        raise RuntimeError(f"the run that nobody disturbed ended with {process.returncode}")
    duration = time.monotonic() - begun
    _, expected = records_of(records)
    generator = random.Random(duration)
    tally = Tally()
    for trial in range(trials):
        root = scratch / str(trial)
        # The end of a run is the slowest part of the interpreter's shutdown, in which nothing is recorded.
        delay = generator.uniform(0, 0.8 * duration)
        tally.add(kill_trial(scratch, root, delay, expected), f"killed after {delay:.3f} s")
        shutil.rmtree(root)
    return tally


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P1: real runs that are killed at random moments."""
    del tools
    tally = kill_runs(scratch, TRIALS[size])
    test = "SIGKILL of `mlx run` with a torch and a scikit-learn node at random moments"
    command = f"python -m tests.torture runs --size {size}"
    facts = f"each record equal to that of an undisturbed run of {EPOCHS} epochs"
    yield Row("P1", test, tally.trials, len(tally.violations), facts, command)
