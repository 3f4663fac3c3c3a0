"""record() against write(), np.save's raw bytes and pyarrow's stream writer, on the same batches.

Two figures for each size: microseconds in the caller, and seconds per GiB until the file is closed.
Run: `.venv/bin/python benches/record_throughput.py`
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from rounds import interleave, table

from specplan._native import Store

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"1.25 KiB": (32, 10, 4000), "128 KiB": (256, 128, 1500), "16 MiB": (4096, 1024, 24)}


def batches(rows: int, width: int) -> list[np.ndarray]:
    """A few different batches, small enough to stay in the cache where a real loop's would."""
    generator = np.random.default_rng(0)
    return [generator.standard_normal((rows, width)).astype(np.float32) for _ in range(4)]


def by_specplan(folder: Path, data: list[np.ndarray], count: int) -> tuple[float, float]:
    """Seconds in the caller, seconds until closed."""
    store = Store.create(str(folder / "records"), run_id="bench")
    channel = store.tensor(
        phase="train", node="MLP", role="default", field="outputs",
        dtype="float32", shape=data[0].shape[1:],
    )  # fmt: skip
    record = channel.record
    started = time.perf_counter()
    for batch in range(count):
        record(data[batch % 4], 0, batch)
    called = time.perf_counter()
    store.close()
    return called - started, time.perf_counter() - started


def by_write(folder: Path, data: list[np.ndarray], count: int) -> tuple[float, float]:
    """The same bytes through write(2), nothing else."""
    descriptor = os.open(folder / "raw.bin", os.O_CREAT | os.O_WRONLY)
    write = os.write
    views = [array.data for array in data]
    started = time.perf_counter()
    for batch in range(count):
        write(descriptor, views[batch % 4])
    called = time.perf_counter()
    os.close(descriptor)
    return called - started, time.perf_counter() - started


def by_pyarrow(folder: Path, data: list[np.ndarray], count: int) -> tuple[float, float]:
    """The same rows as a FixedSizeList column through pyarrow's stream writer."""
    width = data[0].shape[1]
    schema = pa.schema(
        [("value", pa.list_(pa.float32(), width)), ("epoch", pa.int32()), ("batch", pa.int32())]
    )
    rows = data[0].shape[0]
    started = time.perf_counter()
    with (
        pa.OSFile(str(folder / "stream.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, schema) as writer,
    ):
        for batch in range(count):
            column = pa.FixedSizeListArray.from_arrays(data[batch % 4].reshape(-1), width)
            epochs = pa.array(np.zeros(rows, np.int32))
            numbers = pa.array(np.full(rows, batch, np.int32))
            writer.write_batch(pa.RecordBatch.from_arrays([column, epochs, numbers], schema=schema))
        called = time.perf_counter()
    return called - started, time.perf_counter() - started


CONTENDERS: dict[str, Callable[[Path, list[np.ndarray], int], tuple[float, float]]] = {
    "write() of the raw bytes": by_write,
    "specplan record()": by_specplan,
    "pyarrow stream writer": by_pyarrow,
}


def measure(size: str) -> None:
    """Print both tables of one size."""
    rows, width, count = SIZES[size]
    data = batches(rows, width)
    gibibytes = data[0].nbytes * count / 2**30
    closed: dict[str, list[float]] = {name: [] for name in CONTENDERS}

    def contender(name: str) -> Callable[[], float]:
        def once() -> float:
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
                in_caller, until_closed = CONTENDERS[name](Path(folder), data, count)
            closed[name].append(until_closed / gibibytes)
            return in_caller / count * 1e6

        return once

    called = interleave({name: contender(name) for name in CONTENDERS}, rounds=9)
    baseline = "write() of the raw bytes"
    print(table(f"batch of {size}, in the caller", called, unit="us", baseline=baseline))
    print()
    print(table(f"batch of {size}, until closed", closed, unit="s/GiB", baseline=baseline))
    print()


if __name__ == "__main__":
    for size in SIZES:
        measure(size)
