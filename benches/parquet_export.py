"""A phase's records as Parquet: ours against pyarrow and polars, 125 MiB of float32 rows of 128.

Ours reads the mapped records, compares them with their checksums, writes, reads the file again and compares; the
others write a table that is in memory already. All: zstd level 1, row groups of 16,384 rows, no dictionary and no
statistics on the tensor. CPU is that of the whole process, all threads.
Run: `.venv/bin/python benches/parquet_export.py`
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rounds import Column, Contender, folder, interleave, options, table

from specplan._native import Store, export_execution

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS, WIDTH, BATCHES = 256, 128, 1000
GROUP_ROWS = (8 << 20) // (4 * WIDTH)


def noise() -> np.ndarray:
    """Batches that hardly compress."""
    values: np.ndarray = np.random.default_rng(0).standard_normal(
        (BATCHES, ROWS, WIDTH), np.float32
    )
    return values


def activations() -> np.ndarray:
    """Batches as a ReLU leaves them: half of the values are zero."""
    values = noise()
    np.maximum(values, 0, out=values)
    return values


def record(folder: Path, data: np.ndarray) -> str:
    """A closed store with the batches and their sample ids."""
    store = Store.create(str(folder / "records"), run_id="bench")

    def channel(field: str, dtype: str, shape: tuple[int, ...]) -> Callable[..., object]:
        labels = {"phase": "train", "node": "MLP", "role": "default", "field": field}
        return store.tensor(**labels, dtype=dtype, shape=shape).record

    outputs, sample_ids = channel("outputs", "float32", (WIDTH,)), channel("sample_id", "int64", ())
    for batch, values in enumerate(data):
        outputs(values, 0, batch)
        sample_ids(np.arange(ROWS) + batch * ROWS, 0, batch)
    store.close()
    return str(folder / "records")


def in_memory(data: np.ndarray) -> pa.Table:
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


def measure(title: str, data: np.ndarray, rounds: int) -> None:
    """Print CPU and wall time and the size of each file."""
    with folder() as place:
        records, rows = record(place, data), in_memory(data)
        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)

        def contender(name: str, write: Callable[[str], object]) -> Contender:
            def once() -> dict[str, float]:
                path = place / "table.parquet"
                started, cpu = time.perf_counter(), time.process_time()
                write(str(path))
                cpu = time.process_time() - cpu
                wall = time.perf_counter() - started
                size = path.stat().st_size
                path.unlink()
                return {"cpu": cpu * 1e3, "wall": wall * 1e3, "size": size / data.nbytes}

            return Contender(name=name, run=once)

        contenders = [
            contender("pyarrow", lambda path: pq.write_table(
                rows, path, compression="zstd", compression_level=1, row_group_size=GROUP_ROWS,
                use_dictionary=["run_id", "phase"], write_statistics=["epoch", "batch", "sample_id"],
            )),
            contender("polars", lambda path: frame.write_parquet(
                path, compression="zstd", compression_level=1, row_group_size=GROUP_ROWS
            )),
            contender("specplan export", lambda path: export_execution(
                records, "train", path, run_id="bench"
            )),
        ]  # fmt: skip
        measured = interleave(contenders, rounds=rounds)
    columns = [
        Column("cpu", "CPU ms", against="pyarrow"),
        Column("wall", "wall ms", against="pyarrow"),
        Column("size", "bytes written per byte of the tensor"),
    ]
    print(table(title, measured, columns))
    print()


if __name__ == "__main__":
    arguments = options(__doc__ or "", rounds=7, quick=1)
    measure("noise", noise(), arguments.rounds)
    measure("half zeros", activations(), arguments.rounds)
