"""Which records are said to survive a loss of power. That they do is tested in tests/torture."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from specplan._native import Store, StoreReader
from tests.store.records import channel, create

if TYPE_CHECKING:
    from pathlib import Path

ROWS = np.ones((2, 4), np.float32)


def test_process_syncs_when_it_is_asked(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    for batch in range(3):
        values.record(ROWS, 0, batch)
    assert store.sync() == 3
    assert store.durable == 0
    assert StoreReader.open(str(tmp_path)).durable == 0
    values.record(ROWS, 0, 3)
    assert store.sync(durable=True) == 4
    assert store.durable == 4
    assert StoreReader.open(str(tmp_path)).durable == 4
    values.record(ROWS, 0, 4)
    store.close()
    assert store.durable == 5
    assert StoreReader.open(str(tmp_path)).durable == 5


def test_disk_syncs_every_round(tmp_path: Path) -> None:
    store = Store.create(str(tmp_path), run_id="r", durability="disk")
    values = channel(store, shape=(100_000,))
    group = store.metrics([("train", None, None, "loss")])
    for batch in range(30):
        values.record(np.full((1, 100_000), batch, np.float32), 0, batch)
        group.log(float(batch), 0, batch, batch)
        if batch % 10 == 0:
            assert store.sync() == store.durable == 2 * batch + 2
    values.record(np.zeros((10, 100_000), np.float32), 0, 30)
    assert store.durable == 61
    reader = StoreReader.open(str(tmp_path))
    assert reader.durable == reader.watermark == 61
    store.close()


def test_periodic_syncs_without_being_asked(tmp_path: Path) -> None:
    store = Store.create(str(tmp_path), run_id="r", durability="periodic")
    channel(store).record(ROWS, 0, 0)
    store.sync()
    deadline = time.monotonic() + 240
    while store.durable == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert store.durable == StoreReader.open(str(tmp_path)).durable == 1
    store.close()


def test_unknown_levels_and_policies(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown durability `power`; known: process, periodic"):
        Store.create(str(tmp_path), run_id="r", durability="power")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown on_error `ignore`; known: stop, drop"):
        Store.create(str(tmp_path), run_id="r", on_error="ignore")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
