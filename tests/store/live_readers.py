"""Processes that read a store while it is written. Each prints what it has read."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan._native import StoreReader

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = [3, 40, 0, 7]
WIDTH = 33
MOST_ATTEMPTS = 20
SECONDS_BETWEEN_ATTEMPTS = 0.001


def expected_rows(epochs: np.ndarray, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that batches with these keys have, and how many batches there are."""
    numbers = epochs.astype(np.int64) * 100 + batches
    recorded, counts = np.unique(numbers, return_counts=True)
    whole = counts == np.array(SIZES)[recorded % len(SIZES)]
    assert whole.all(), f"half a batch: {recorded[~whole]}"
    assert (np.diff(numbers) >= 0).all(), "batches are out of order"
    row_in_batch = np.arange(len(numbers)) - np.searchsorted(numbers, numbers)
    return numbers + row_in_batch * WIDTH, recorded


def check_rows(values: np.ndarray, epochs: np.ndarray, batches: np.ndarray) -> int:
    """Every row is there as it was recorded; returns the last batch."""
    if not len(epochs):
        return -1
    firsts, recorded = expected_rows(epochs, batches)
    wanted = firsts[:, None] + np.arange(WIDTH)
    assert np.array_equal(values.reshape(-1, WIDTH), wanted), "torn rows"
    return int(recorded[-1])


def check_reader(reader: StoreReader) -> int:
    watermark = reader.refresh()
    (tensor,) = reader.tensors()
    index = tensor.index()
    assert np.array_equal(index["sequence"], np.arange(1, watermark + 1, 2))
    for position in range(max(tensor.batches - 30, 0), tensor.batches):
        number = int(index["epoch"][position]) * 100 + int(index["batch"][position])
        rows = tensor.at(position)
        assert number == position
        assert np.array_equal(rows.ravel(), np.arange(rows.size) + number)
    assert sum(rows for *_, rows in reader.metric_files()) == watermark // 2
    return tensor.batches


def check_metrics(table: Any) -> int:
    values = table.column("value").to_numpy()
    steps = table.column("step").to_numpy()
    wrong = np.flatnonzero(values != steps)
    assert not len(wrong), f"torn metrics: {wrong} of {len(steps)}"
    assert (np.diff(steps) == 1).all(), "metrics are out of order"
    return int(steps[-1]) if len(steps) else -1


def open_arrow(path: str) -> Any:
    import pyarrow as pa

    table = pa.ipc.open_file(pa.memory_map(path)).read_all()
    table.validate()
    return table


def check_pyarrow(files: list[str], metrics: list[str]) -> int:
    table = open_arrow(files[-1])
    check_metrics(open_arrow(metrics[-1]))
    values = table.column("outputs").combine_chunks().flatten().to_numpy()
    return check_rows(values, table["epoch"].to_numpy(), table["batch"].to_numpy())


def check_polars(files: list[str], metrics: list[str]) -> int:
    import polars as pl

    frame = pl.read_ipc(files[-1])
    last = pl.read_ipc(metrics[-1])
    assert last["value"].equals(last["step"].cast(pl.Float64)), "torn metrics"
    values = frame["outputs"].to_numpy()
    return check_rows(values, frame["epoch"].to_numpy(), frame["batch"].to_numpy())


def check_duckdb(files: list[str], metrics: list[str]) -> int:
    import duckdb

    connection = duckdb.connect()
    connection.register("rows", open_arrow(files[-1]))
    connection.register("logged", open_arrow(metrics[-1]))
    wrong = connection.sql("""
        select count(*) from logged where value <> step or sequence <> 2 * step + 2
        union all
        select count(*) from rows where outputs[33] - outputs[1] <> 32 or outputs[1] < 100 * epoch + batch
        union all
        select count(*) from (select 100 * epoch + batch as number, count(*) as rows from rows group by all)
        where rows <> [3, 40, 0, 7][number % 4 + 1]
    """).fetchall()
    assert wrong == [(0,)] * 3, f"torn: {wrong}"
    (last,) = connection.sql("select coalesce(max(100 * epoch + batch), -1) from rows").fetchall()[
        0
    ]
    return int(last)


FOREIGN: dict[str, Callable[[list[str], list[str]], int]] = {
    "pyarrow": check_pyarrow,
    "polars": check_polars,
    "duckdb": check_duckdb,
}


def failures(name: str) -> tuple[type[Exception], ...]:
    """What a library raises that met a commit half way (docs/format.md, Reading)."""
    if name == "polars":
        import polars as pl

        return (pl.exceptions.PolarsError, OSError)
    import pyarrow as pa

    return (pa.ArrowInvalid, OSError)


def with_retries(
    check: Callable[[], int], expected: tuple[type[Exception], ...]
) -> tuple[int, int]:
    for attempt in range(MOST_ATTEMPTS):
        try:
            return check(), attempt
        except expected:
            if attempt == MOST_ATTEMPTS - 1:
                raise
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
    raise AssertionError


def read_live(name: str, path: str, reads: int) -> str:
    """Read many times; returns how often, what came last, and how often a read was repeated."""
    reader = StoreReader.open(path)
    while reader.refresh() < 100:
        time.sleep(0.001)
    last = again = 0
    for _ in range(reads):
        if name == "specplan":
            found = check_reader(reader)
        else:
            reader.refresh()
            files = [file for file, *_ in reader.tensors()[0].files()]
            metrics = [file for file, *_ in reader.metric_files()]
            check = partial(FOREIGN[name], files, metrics)
            found, attempts = with_retries(check, failures(name))
            again += attempts
        assert found >= last or found == -1, "the store went back"
        last = max(found, last)
    return f"{name}: {reads} reads up to batch {last}, {again} repeated"


if __name__ == "__main__":
    sys.stdout.write(read_live(sys.argv[1], sys.argv[2], int(sys.argv[3])) + "\n")
