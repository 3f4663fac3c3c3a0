"""Tensors as Parquet."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from specplan._native import Store, StoreReader, export_execution, export_metrics
from specplan.errors import StoreError
from tests.store.records import channel, create


def record_phase(store: Store, batches: int = 50) -> None:
    outputs = channel(store, "outputs", "float32", (2,))
    anchor = channel(store, "outputs", "float32", (2, 2), role="anchor")
    flag = channel(store, "flag", "bool", ())
    loss = channel(store, "loss", "float64", ())
    ids = channel(store, "sample_id", "int64", ())
    channel(store, "outputs", "float32", (1,), phase="other").record(
        np.ones((1, 1), np.float32), 0, 0
    )
    for number in range(batches):
        epoch, batch = divmod(number, 10)
        rows = 4 if batch < 9 else 3
        sample = np.arange(rows) + 4 * batch
        ids.record(sample, epoch, batch)
        outputs.record(np.stack([sample, sample + epoch], 1).astype(np.float32), epoch, batch)
        anchor.record(np.ones((rows, 2, 2), np.float32), epoch, batch)
        flag.record(sample % 2 == 0, epoch, batch)
        loss.record(sample / 2, epoch, batch)


def test_execution_table(tmp_path: Path) -> None:
    store = create(tmp_path / "records")
    record_phase(store)
    store.sync()
    live, closed = tmp_path / "live.parquet", tmp_path / "closed.parquet"
    assert export_execution(str(tmp_path / "records"), "train", str(live), run_id="run-1") == 5 * 39
    channel(store, "loss", "float64", ()).record(np.zeros(4), 9, 9)
    store.close()
    assert (
        export_execution(str(tmp_path / "records"), "train", str(closed), run_id="run-1") == 5 * 39
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "closed.parquet",
        "live.parquet",
        "records",
    ]
    frame = pl.read_parquet(live)
    assert frame.equals(pl.read_parquet(closed))
    assert frame.columns == [
        *["run_id", "phase", "epoch", "batch", "sample_id"],
        *["MLP.outputs", "MLP.anchor.outputs", "MLP.flag", "MLP.loss"],
    ]
    assert frame["sample_id"].to_list() == list(range(39)) * 5
    assert frame["epoch"].to_list() == [epoch for epoch in range(5) for _ in range(39)]
    assert frame["MLP.outputs"].to_list() == [[s, s + e] for e in range(5) for s in range(39)]
    assert frame["MLP.flag"].to_list() == [s % 2 == 0 for _ in range(5) for s in range(39)]
    metadata = pq.read_schema(live).field("MLP.anchor.outputs").metadata
    assert metadata == {b"specplan.dtype": b"float32", b"specplan.shape": b"[2, 2]"}
    assert np.array(pd.read_parquet(live)["MLP.anchor.outputs"].tolist()).shape == (195, 4)
    query = f"""select sample_id, avg("MLP.loss"), sum("MLP.outputs"[2]) from '{live}' group by 1 order by 1"""
    assert duckdb.execute(query).fetchall() == [(s, s / 2, 5.0 * s + 10) for s in range(39)]


def test_execution_table_of_an_unknown_phase(tmp_path: Path) -> None:
    store = create(tmp_path)
    record_phase(store, 1)
    store.close()
    with pytest.raises(
        StoreError, match=r"has no tensor records of phase `fit`; known: other, train$"
    ):
        export_execution(str(tmp_path), "fit", str(tmp_path / "x.parquet"), run_id="r")


def test_execution_table_needs_equal_rows(tmp_path: Path) -> None:
    store = create(tmp_path)
    channel(store, "sample_id", "int64", ()).record(np.arange(4), 0, 0)
    channel(store, "loss", "float64", ()).record(np.zeros(3), 0, 0)
    store.close()
    with pytest.raises(
        StoreError, match=r"batch 0 of epoch 0 has 3 rows in `train.MLP.default.loss` and 4 in"
    ):
        export_execution(str(tmp_path), "train", str(tmp_path / "x.parquet"), run_id="r")
    assert not list(tmp_path.glob("x.parquet*"))


def test_export_refuses_a_flipped_bit(tmp_path: Path) -> None:
    store = create(tmp_path)
    record_phase(store)
    group = store.metrics([("train", None, None, "loss")])
    group.log(np.array([1234.5]), 0, 0, 0)
    store.close()
    reader = StoreReader.open(str(tmp_path))
    loss = next(tensor for tensor in reader.tensors() if tensor.field == "loss")
    for path, needle in (
        (loss.files()[0][0], np.float64(17.5)),
        (reader.metric_files()[0][0], np.float64(1234.5)),
    ):
        data = bytearray(Path(path).read_bytes())
        data[data.index(needle.tobytes()) + 3] ^= 4
        Path(path).write_bytes(data)
    with pytest.raises(
        StoreError, match=r"is damaged at byte [0-9]+: a batch does not match its checksum"
    ):
        export_execution(str(tmp_path), "train", str(tmp_path / "x.parquet"), run_id="r")
    with pytest.raises(
        StoreError, match=r"is damaged at byte [0-9]+: a metric does not match its checksum"
    ):
        export_metrics(str(tmp_path), str(tmp_path / "x.parquet"), run_id="r")
