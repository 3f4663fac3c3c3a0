"""Series of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from specplan._native import StoreReader, export_metrics
from tests.store.records import create

if TYPE_CHECKING:
    from pathlib import Path


def test_metrics(tmp_path: Path) -> None:
    store = create(tmp_path, session=3)
    names = ["loss", "a name that does not fit into a view", "größe"]
    group = store.metrics(
        [("train", None if name == "loss" else "MLP", "val", name) for name in names]
    )
    values = [[1.0, float("nan"), float("-inf")], [0.1, 2.0, 3.0]]
    group.log(np.array(values[0]), 0, 5, 5)
    group.log(np.array(values[1]), -1, -1, 6)
    store.sync()
    target = tmp_path / "metrics.parquet"
    assert export_metrics(str(tmp_path), str(target), run_id="run-1") == 6
    store.close()
    frame = pd.read_parquet(target)
    assert list(frame) == [
        "run_id",
        "session",
        "phase",
        "node",
        "split",
        "name",
        "epoch",
        "batch",
        "step",
        "time",
        "value",
    ]
    assert frame["name"].tolist() == names * 2
    assert np.array(frame["value"]).tobytes() == np.array(values).tobytes()
    assert frame["session"].tolist() == [3] * 6
    assert frame["node"].isna().tolist() == [True, False, False] * 2
    assert frame["epoch"].isna().tolist() == [False] * 3 + [True] * 3
    assert frame["step"].tolist() == [5] * 3 + [6] * 3
    ((path, first, rows),) = StoreReader.open(str(tmp_path)).metric_files()
    assert (first, rows) == (0, 6)
    assert pl.read_ipc(path)["name"].to_list() == names * 2
    assert duckdb.execute(f"select count(*) from '{target}' where batch is null").fetchall() == [
        (3,)
    ]


def test_metrics_roll_over_many_chunks(tmp_path: Path) -> None:
    store = create(tmp_path)
    groups = [
        store.metrics([("train", None, None, f"{'x' * 200}-{g}-{n}") for n in range(60)])
        for g in range(30)
    ]
    for step in range(20):
        for number, group in enumerate(groups):
            group.log(np.arange(60, dtype=np.float64) + 100 * number, 0, step, step)
    store.close()
    files = StoreReader.open(str(tmp_path)).metric_files()
    assert len(files) == 3
    frame = pl.concat([pl.read_ipc(path) for path, _, _ in files])
    assert frame["value"].to_list() == [
        100.0 * g + n for _ in range(20) for g in range(30) for n in range(60)
    ]
    assert frame["name"].to_list() == [
        f"{'x' * 200}-{g}-{n}" for _ in range(20) for g in range(30) for n in range(60)
    ]
    assert export_metrics(str(tmp_path), str(tmp_path / "m.parquet"), run_id="r") == 36_000


def test_values_are_numbers_buffers_or_sequences(tmp_path: Path) -> None:
    store = create(tmp_path / "records")
    one, two = (
        store.metrics([("train", None, None, name) for name in names]) for names in ("a", "bc")
    )
    numbers: list[Any] = [0.5, np.float64(1.5), 2, [2.5], np.array([3.5])]
    for step, number in enumerate(numbers):
        one.log(number, 0, step, step)
    two.log((4.5, 5), 0, 0, 0)
    too_few_or_many: list[Any] = [1.0, [1.0], (1.0, 2.0, 3.0)]
    for values in too_few_or_many:
        with pytest.raises(ValueError, match="the buffer of values has"):
            two.log(values, 0, 0, 0)
    no_numbers: list[Any] = ["1.0", None, ["x"]]
    for values in no_numbers:
        with pytest.raises(TypeError):
            one.log(values, 0, 0, 0)
    with pytest.raises(BufferError):
        one.log(np.array([1.0], np.float32), 0, 0, 0)
    store.close()
    export_metrics(str(tmp_path / "records"), str(tmp_path / "metrics.parquet"), run_id="r")
    read = pq.read_table(tmp_path / "metrics.parquet")["value"].to_pylist()
    assert read == [0.5, 1.5, 2.0, 2.5, 3.5, 4.5, 5.0]
