"""A phase's records as Parquet: ours against pyarrow and polars, 125 MiB of float32 rows of 128.

Ours reads the mapped records, compares them with their checksums, writes, reads the file again and compares; the
others write a table that is in memory already. All: zstd level 1, row groups of 16,384 rows, no dictionary and no
statistics on the tensor. CPU is that of the whole process, all threads.
Run: `.venv/bin/python benches/parquet_export.py [--quick]`
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rounds import Column, Contender, Goal, Measured, folder, goals, interleave, options, table

from specplan._native import Store, export_execution

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Data = NDArray[np.float32]

ROWS, WIDTH, BATCHES = 256, 128, 1000
GROUP_ROWS = (8 << 20) // (4 * WIDTH)
OURS = "**specplan export**"
PYARROW = "pyarrow"
MORE_WORK = (
    "Ours includes comparing what it reads with checksums, splitting the bytes of each number (the file is "
    "smaller for it), a digest, and reading the file again."
)


def noise() -> Data:
    """Batches that hardly compress."""
    return np.random.default_rng(0).standard_normal((BATCHES, ROWS, WIDTH), np.float32)


def activations() -> Data:
    """Batches as a ReLU leaves them: half of the values are zero."""
    return np.maximum(noise(), 0)


def record(path: Path, data: Data) -> str:
    """A closed store with the batches and their sample ids."""
    store = Store.create(str(path / "records"), run_id="bench")

    def channel(field: str, dtype: str, shape: tuple[int, ...]) -> Callable[..., object]:
        labels = {"phase": "train", "node": "MLP", "role": "default", "field": field}
        return store.tensor(**labels, dtype=dtype, shape=shape).record

    outputs, sample_ids = channel("outputs", "float32", (WIDTH,)), channel("sample_id", "int64", ())
    for batch, values in enumerate(data):
        outputs(values, 0, batch)
        sample_ids(np.arange(ROWS) + batch * ROWS, 0, batch)
    store.close()
    return str(path / "records")


def in_memory(data: Data) -> pa.Table:
    """The same rows as our table has them."""
    rows = ROWS * BATCHES
    return pa.table(
        {
            "run_id": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["bench"]),
            "phase": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["train"]),
            "epoch": np.zeros(rows, np.int32),
            "batch": np.repeat(np.arange(BATCHES, dtype=np.int32), ROWS),
            "sample_id": np.arange(rows),
            "MLP.outputs": pa.FixedSizeListArray.from_arrays(data.reshape(-1), WIDTH),
        }
    )


def writing(write: Callable[[str], object], path: Path, size: int) -> dict[str, float]:
    """Write one table."""
    started, processor = time.perf_counter(), time.process_time()
    write(str(path))
    processor = time.process_time() - processor
    clock = time.perf_counter() - started
    share = path.stat().st_size / size
    path.unlink()
    return {"processor": processor * 1e3, "clock": clock * 1e3, "share": share}


def measure(data: Data, rounds: int) -> Measured:
    """Let each write the same rows."""
    with folder() as root:
        records, rows = record(root, data), in_memory(data)
        frame: Any = pl.from_arrow(rows)
        writers: dict[str, Callable[[str], object]] = {
            PYARROW: lambda path: pq.write_table(
                rows, path, compression="zstd", compression_level=1, row_group_size=GROUP_ROWS,
                use_dictionary=["run_id", "phase"], write_statistics=["epoch", "batch", "sample_id"],
            ),
            "polars": lambda path: frame.write_parquet(
                path, compression="zstd", compression_level=1, row_group_size=GROUP_ROWS
            ),
            OURS: lambda path: export_execution(records, "train", path, run_id="bench"),
        }  # fmt: skip

        def contender(name: str) -> Contender:
            path = root / "table.parquet"
            return Contender(name=name, run=lambda: writing(writers[name], path, data.nbytes))

        return interleave(list(map(contender, writers)), rounds=rounds)


def main() -> None:
    """Print a table for each kind of values, and the goals."""
    chosen = options("Parquet", rounds=4, quick=2)
    columns = [
        Column("processor", "CPU of all threads, ms", PYARROW),
        Column("clock", "clock, ms", PYARROW),
        Column("share", "bytes per byte of the tensor"),
    ]
    found = []
    for title, data in (("noise", noise()), ("half zeros", activations())):
        if chosen.only in title:
            measured = measure(data, chosen.rounds)
            print(table(title, measured, columns), end="\n\n")
            ratio = measured.ratio(OURS, PYARROW, "processor")
            found.append(Goal(f"{title}: CPU / {PYARROW}'s", 1, ratio, MORE_WORK))
    print(goals(found))


if __name__ == "__main__":
    main()
