"""A process that writes a store until it is done or killed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from specplan._native import StoreReader
from tests.store.records import same_bits

if TYPE_CHECKING:
    from pathlib import Path

# A test that fails must not leave a writer behind that fills the disk.
ENDS_WITH_ITS_PARENT = "import ctypes; ctypes.CDLL(None).prctl(1, 9)"
FLOOD_BYTES = 1 << 28

LIVE_WRITER = f"""
{ENDS_WITH_ITS_PARENT}
import sys, time, numpy as np
from specplan._native import Store
store = Store.create(sys.argv[1], run_id="r", flush_milliseconds=2)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="float64", shape=[33])
loss = store.metrics([("train", None, None, "loss")])
sizes = [int(size) for size in sys.argv[2].split(",")]
print("ready", flush=True)
batch = 0
while batch < int(sys.argv[3]):
    rows = sizes[batch % len(sizes)]
    values.record(np.arange(rows * 33, dtype=np.float64).reshape(rows, 33) + batch, batch // 100, batch % 100)
    loss.log(np.array([float(batch)]), batch // 100, batch % 100, batch)
    batch += 1
    if batch * max(sizes) * 33 * 8 > {FLOOD_BYTES}:
        time.sleep(0.001)
store.close()
"""


def start_writer(path: Path, sizes: str, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LIVE_WRITER, str(path), sizes, str(batches)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout as answers:
        assert answers.readline() == "ready\n"
    return writer


def expected_batch(number: int, sizes: list[int]) -> np.ndarray:
    rows = sizes[number % len(sizes)]
    return np.arange(rows * 33, dtype=np.float64).reshape(rows, 33) + number


def check_prefix(path: Path, sizes: list[int]) -> int:
    """Everything at or below the watermark is there, in order, bit for bit; returns the watermark."""
    reader = StoreReader.open(str(path))
    watermark = reader.watermark
    tensor = reader.tensors()[0]
    index = tensor.index()
    assert index["sequence"].tolist() == list(range(1, watermark + 1, 2))
    for position in range(tensor.batches):
        assert same_bits(tensor.at(position), expected_batch(position, sizes))
        assert tensor.get(position // 100, position % 100).shape[0] == sizes[position % len(sizes)]
    frame = pl.concat(
        [
            pl.read_ipc(file, n_rows=first + rows)[first:]
            for file, first, rows in reader.metric_files()
        ]
        or [pl.DataFrame()]
    )
    assert frame.height == watermark // 2
    if frame.height:
        assert frame["value"].to_list() == [float(number) for number in range(watermark // 2)]
    return watermark
