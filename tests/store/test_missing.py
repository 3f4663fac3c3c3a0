"""Records that are not there any more, or not as they were: readers say so instead of giving what is left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from specplan._native import Store, StoreReader
from specplan.errors import StoreError
from tests.store.records import channel, create

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHANNEL = "train.MLP.default.outputs"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A closed store with two channels and metrics."""
    store = create(tmp_path)
    outputs = channel(store)
    losses = channel(store, "loss", "float64", ())
    group = store.metrics([("train", None, None, "loss")])
    for batch in range(8):
        outputs.record(np.full((3, 4), batch, np.float32), 0, batch)
        losses.record(np.full(3, batch, np.float64), 0, batch)
        group.log(np.array([1234.5 + batch]), 0, batch, batch)
    store.close()
    return tmp_path


def test_a_flipped_bit_in_a_metric(records: Path) -> None:
    chunk = records / "metrics" / "chunk-000000.arrow"
    content = bytearray(chunk.read_bytes())
    content[content.index(np.float64(1237.5).tobytes()) + 2] ^= 1
    chunk.write_bytes(content)
    reader = StoreReader.open(str(records))
    with pytest.raises(
        StoreError, match=r"chunk-000000.arrow` is damaged at byte [0-9]+: a metric"
    ):
        reader.metric_files()
    assert len(StoreReader.open(str(records), check=False).metric_files()) == 1


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("metrics/chunk-000000.arrow", "watermark` is damaged .* promises 24 records, and 16 are"),
        (f"{CHANNEL}/index-000000.arrow", "index-000000.arrow` is damaged .*no index names it"),
        (f"{CHANNEL}/channel.json", "channel.json` is damaged at byte 0: the file is missing"),
        (f"{CHANNEL}/chunk-000000.arrow", "the index points beyond the rows"),
    ],
)
@pytest.mark.parametrize("use", ["read", "continue"])
def test_a_missing_file(records: Path, missing: str, message: str, use: str) -> None:
    (records / missing).unlink()
    with pytest.raises(StoreError, match=message):
        uses(records)[use]()


@pytest.mark.parametrize("use", ["read", "continue"])
def test_a_missing_channel(records: Path, use: str) -> None:
    for path in (records / CHANNEL).iterdir():
        path.unlink()
    (records / CHANNEL).rmdir()
    with pytest.raises(StoreError, match=re.escape("promises 24 records, and 16 are there")):
        uses(records)[use]()


def test_each_row_is_compared_once_while_a_store_grows(tmp_path: Path) -> None:
    store = create(tmp_path)
    group = store.metrics([("train", None, None, "loss"), ("train", None, None, "accuracy")])
    group.log([0.5, 0.5], 0, 0, 0)
    store.sync()
    reader = StoreReader.open(str(tmp_path))
    assert [rows for _, _, rows in reader.metric_files()] == [2]
    group.log([0.25, 0.75], 0, 1, 1)
    store.sync()
    reader.refresh()
    assert [rows for _, _, rows in reader.metric_files()] == [4]
    store.close()


def test_a_log_of_no_series_is_no_record(tmp_path: Path) -> None:
    store = create(tmp_path)
    assert store.metrics([]).log(np.array([]), 0, 0, 0) == 0
    assert store.metrics([("train", None, None, "loss")]).log([0.5], 0, 0, 0) == 1
    assert store.metrics([]).log([], 0, 0, 0) == 1
    store.close()
    reader = StoreReader.open(str(tmp_path))
    assert [rows for _, _, rows in reader.metric_files()] == [1]
    assert reader.verify() == []


def uses(records: Path) -> dict[str, Callable[[], object]]:
    return {
        "read": lambda: read_everything(records),
        "continue": lambda: Store.open(str(records), session=2),
    }


def read_everything(records: Path) -> None:
    reader = StoreReader.open(str(records))
    for tensor in reader.tensors():
        tensor.chunks()
        for position in range(tensor.batches):
            tensor.at(position)
    reader.metric_files()
