"""Readers of a closed store and of one that grows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from specplan._native import StoreReader
from tests.store.live_writer import check_prefix, expected_batch, start_writer
from tests.store.records import channel, create, only_tensor, same_bits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


def test_arrays_alias_the_map_and_outlive_the_reader(tmp_path: Path) -> None:
    store = create(tmp_path)
    channel(store).record(np.ones((3, 4), np.float32), 0, 0)
    store.close()
    tensor = only_tensor(tmp_path)
    first, again, (chunk,) = tensor.get(0, 0), tensor.at(0), tensor.chunks()
    assert np.shares_memory(first, again)
    assert np.shares_memory(first, chunk)
    assert not first.flags.owndata
    assert first.ctypes.data % 64 == 0
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 2
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        first.flags.writeable = True
    del tensor, again, chunk
    for path in tmp_path.rglob("*.arrow"):
        path.unlink()
    assert (first == 1).all()


def test_missing_batches(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    values.record(np.zeros((1, 4), np.float32), 1, 1)
    store.sync()
    tensor = only_tensor(tmp_path)
    with pytest.raises(KeyError, match="has no batch 2 of epoch 1"):
        tensor.get(1, 2)
    with pytest.raises(IndexError, match="has 1 batches; there is none at position 1"):
        tensor.at(1)


def test_a_batch_recorded_twice_reads_as_the_later_one(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    for number, (epoch, batch) in enumerate([(0, 0), (0, 1), (1, 0), (0, 1), (0, 2)]):
        values.record(np.full((1, 4), number, np.float32), epoch, batch)
    store.close()
    tensor = only_tensor(tmp_path)
    assert [tensor.get(*key)[0, 0] for key in [(0, 0), (0, 1), (1, 0), (0, 2)]] == [0, 3, 2, 4]


def test_live_reading_from_another_process(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, "3,200,0", 6000)
    seen = []
    reader = StoreReader.open(str(tmp_path))
    while writer.poll() is None:
        watermark = reader.refresh()
        seen.append(watermark)
        tensor = reader.tensors()[0]
        assert tensor.batches == (watermark + 1) // 2
        if tensor.batches:
            last = tensor.batches - 1
            assert same_bits(tensor.at(last), expected_batch(last, [3, 200, 0]))
        time.sleep(0.002)
    assert writer.wait() == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert reader.refresh() == 12_000
    assert reader.closed
    assert check_prefix(tmp_path, [3, 200, 0]) == 12_000


def with_retry(read: Callable[[], T]) -> T:
    """Other readers see the length fields through a map, and may meet a commit half way."""
    for _ in range(20):
        try:
            return read()
        except (pa.ArrowInvalid, OSError, pl.exceptions.PolarsError):
            time.sleep(0.001)
    return read()


def test_other_libraries_read_the_growing_files(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, "4", 200_000)
    try:
        reader = StoreReader.open(str(tmp_path))
        while not reader.tensors() or not reader.tensors()[0].files() or not reader.metric_files():
            reader.refresh()
        first = reader.tensors()[0].files()[0][0]
        metrics = reader.metric_files()[0][0]

        def arrow(path: str) -> pa.Table:
            table = pa.ipc.open_file(pa.memory_map(path)).read_all()
            table.validate(full=True)
            return table

        for _ in range(20):
            table = with_retry(lambda: arrow(first))
            values = table.column("outputs").combine_chunks().flatten().to_numpy().reshape(-1, 33)
            assert (
                values[:, 0]
                == np.repeat(np.arange(len(values) // 4), 4)
                + np.tile([0, 33, 66, 99], len(values) // 4)
            ).all()
            frame = with_retry(lambda: pl.read_ipc(metrics))
            assert frame["value"].to_list() == [float(number) for number in range(frame.height)]
            assert len(with_retry(lambda: pd.read_feather(first))) % 4 == 0
    finally:
        writer.kill()
        writer.wait()
