"""A phase's records as Parquet: ours against pyarrow and polars, 125 MiB of float32 rows of 128.

Ours reads the mapped records, compares them with their checksums, writes, reads the file again and compares; the
others write a table that is in memory already. All: zstd level 1, row groups of 16,384 rows, no dictionary and no
statistics on the tensor. CPU is that of the whole process, all threads.
Run: `.venv/bin/python benches/parquet_export.py`
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rounds import interleave, table

from specplan._native import Store, export_execution

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, WIDTH, BATCHES = 256, 128, 1000
GROUP_ROWS = (8 << 20) // (4 * WIDTH)
ROUNDS = 7


def noise() -> np.ndarray:
    """Batches that hardly compress."""
    return np.random.default_rng(0).standard_normal((BATCHES, ROWS, WIDTH), np.float32)


def activations() -> np.ndarray:
    """Batches as a ReLU leaves them: half of the values are zero."""
    return np.maximum(noise(), 0)


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


def measure(title: str, data: np.ndarray) -> None:
    """Print CPU and wall time and the size of each file."""
    wall: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        records, rows = record(folder, data), in_memory(data)
        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)

        def contender(name: str, write: Callable[[str], object]) -> Callable[[], float]:
            def once() -> float:
                path = folder / "table.parquet"
                started, cpu = time.perf_counter(), time.process_time()
                write(str(path))
                cpu = time.process_time() - cpu
                wall.setdefault(name, []).append((time.perf_counter() - started) * 1e3)
                sizes[name] = path.stat().st_size
                path.unlink()
                return cpu * 1e3

            return once

        writers: dict[str, Callable[[str], object]] = {
            "pyarrow": lambda path: pq.write_table(
                rows, path, compression="zstd", compression_level=1, row_group_size=GROUP_ROWS,
                use_dictionary=["run_id", "phase"], write_statistics=["epoch", "batch", "sample_id"],
            ),
            "polars": lambda path: frame.write_parquet(
                path, compression="zstd", compression_level=1, row_group_size=GROUP_ROWS
            ),
            "specplan export": lambda path: export_execution(
                records, "train", path, run_id="bench"
            ),
        }  # fmt: skip
        figures = {name: contender(name, write) for name, write in writers.items()}
        cpu = interleave(figures, rounds=ROUNDS)
    print(table(f"{title}, CPU", cpu, unit="ms", baseline="pyarrow"))
    print()
    print(table(f"{title}, wall", wall, unit="ms", baseline="pyarrow"))
    ratios = (f"{name} {size / data.nbytes:.3f}" for name, size in sizes.items())
    print(f"\nbytes written per byte of the tensor: {', '.join(ratios)}\n")


if __name__ == "__main__":
    measure("noise", noise())
    measure("half zeros", activations())
