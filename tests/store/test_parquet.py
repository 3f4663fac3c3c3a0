"""The Parquet files themselves: what other readers make of them, how they are cut, and their digest."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from specplan._native import export_execution, export_metrics, verify_parquet
from specplan.errors import StoreError
from tests.store.records import channel, create, random_rows

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = ["float16", "float32", "float64", "int32", "uint32", "int64", "uint64", "int8", "bool"]
SHAPES = [(1,), (2,), (7,), (8,), (23,), (24,), (3, 50)]


def export(folder: Path, columns: dict[str, np.ndarray], rows_in_batch: int) -> Path:
    """The columns, recorded in batches, as Parquet."""
    store = create(folder / "records")
    for name, rows in columns.items():
        recorder = channel(store, name, rows.dtype.name, rows.shape[1:])
        for batch, start in enumerate(range(0, len(rows), rows_in_batch)):
            recorder.record(rows[start : start + rows_in_batch], batch // 10, batch % 10)
    store.close()
    path = folder / "table.parquet"
    export_execution(str(folder / "records"), "train", str(path), run_id="run-1")
    return path


def finite(rows: np.ndarray) -> np.ndarray:
    """Without NaNs, whose bits a reader may change on their way through Python."""
    return np.nan_to_num(rows) if rows.dtype.kind == "f" else rows


@pytest.mark.parametrize("dtype", DTYPES)
def test_lists_of_every_length_and_type_in_every_reader(tmp_path: Path, dtype: str) -> None:
    columns = {
        f"field_{number}": finite(random_rows(700, shape, dtype, number))
        for number, shape in enumerate(SHAPES)
    }
    path = export(tmp_path, columns, rows_in_batch=33)
    arrow, polars, pandas = pq.read_table(path), pl.read_parquet(path), pd.read_parquet(path)
    for field, rows in columns.items():
        name, flat = f"MLP.{field}", rows.reshape(len(rows), -1)
        read = {
            "pyarrow": arrow[name].combine_chunks().flatten().to_numpy(zero_copy_only=False),
            "polars": polars[name].explode().to_numpy(),
            "pandas": np.concatenate(pandas[name].to_list()),
            "duckdb": duckdb.execute(
                f"""select unnest("{name}") as item from '{path}'"""
            ).fetchnumpy()["item"],
        }
        for reader, items in read.items():
            assert np.array_equal(np.asarray(items, rows.dtype), flat.reshape(-1)), (reader, name)


def test_row_groups_hold_whole_batches_and_statistics_find_one(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((100 * 999, 64), np.float32)
    path = export(tmp_path, {"outputs": rows}, rows_in_batch=999)
    metadata = pq.read_metadata(path)
    names = [metadata.schema.column(column).path for column in range(metadata.num_columns)]
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    assert [group.num_rows % 999 for group in groups] == [0] * len(groups)
    sizes = [group.total_byte_size for group in groups[:-1]]
    assert sizes
    assert all(8 << 20 <= size < 9 << 20 for size in sizes)
    wanted = (7, 3)
    hits = 0
    for group in groups:
        column = {name: group.column(place) for place, name in enumerate(names)}
        assert column["MLP.outputs.list.item"].statistics is None
        assert not column["MLP.outputs.list.item"].has_dictionary_page
        assert all(column[name].has_offset_index for name in names)
        ranges = [column[name].statistics for name in ("epoch", "batch")]
        first = [(key.min, key.max) for key in ranges]
        hits += first[0][0] <= wanted[0] <= first[0][1] and first[1][0] <= wanted[1] <= first[1][1]
    assert hits <= 2
    found = pl.scan_parquet(path).filter(pl.col("epoch") == 7, pl.col("batch") == 3).collect()
    expected = rows.reshape(100, 999, 64)[73]
    assert np.array_equal(found["MLP.outputs"].to_numpy(), expected)


def test_a_file_knows_its_run_and_its_digest(tmp_path: Path) -> None:
    path = export(tmp_path, {"outputs": np.ones((10, 3), np.float32)}, rows_in_batch=5)
    metadata = pq.read_metadata(path).metadata
    assert metadata[b"specplan.run_id"] == b"run-1"
    digest = metadata[b"specplan.blake3"]
    assert len(digest) == 64
    assert path.read_bytes().count(digest) == 1
    verify_parquet(str(path))
    other = tmp_path / "metrics.parquet"
    export_metrics(str(tmp_path / "records"), str(other), run_id="run-1")
    verify_parquet(str(other))


def test_every_changed_byte_of_a_file_is_noticed(tmp_path: Path) -> None:
    path = export(tmp_path, {"outputs": np.ones((10, 3), np.float32)}, rows_in_batch=5)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        with pytest.raises(StoreError, match="table.parquet` is damaged at byte"):
            verify_parquet(str(path))
    for length in itertools.chain(range(16), range(len(whole) - 16, len(whole))):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="table.parquet` is damaged at byte"):
            verify_parquet(str(path))


def test_a_table_of_somebody_else_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(path)
    with pytest.raises(StoreError, match="the footer has no `specplan.blake3`"):
        verify_parquet(str(path))


def test_the_same_records_give_the_same_file(tmp_path: Path) -> None:
    path = export(tmp_path, {"outputs": np.ones((1000, 3), np.float32)}, rows_in_batch=5)
    first = hashlib.sha256(path.read_bytes()).digest()
    export_execution(str(tmp_path / "records"), "train", str(path), run_id="run-1")
    assert hashlib.sha256(path.read_bytes()).digest() == first


def test_metrics_take_at_most_twelve_bytes_for_each_value(tmp_path: Path) -> None:
    store = create(tmp_path / "records")
    group = store.metrics([("train", "MLP", None, f"metric_{number}") for number in range(10)])
    values = np.random.default_rng(0).standard_normal((2000, 10))
    for step, row in enumerate(values):
        group.log(row, epoch=step // 100, batch=step % 100, step=step)
    store.close()
    path = tmp_path / "metrics.parquet"
    assert export_metrics(str(tmp_path / "records"), str(path), run_id="run-1") == values.size
    assert path.stat().st_size <= 12 * values.size
    assert np.array_equal(pl.read_parquet(path)["value"].to_numpy(), values.reshape(-1))
