"""Batches that take their place in the order first and get their rows later."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from specplan._native import StoreReader
from specplan.errors import StoreError
from tests.store.records import channel, create, only_tensor

if TYPE_CHECKING:
    from pathlib import Path


def test_the_order_is_that_of_the_places_not_of_the_commits(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    slots = []
    for batch in range(60):
        if batch % 3 == 0:
            slots.append(values.acquire(2, 0, batch))
        else:
            values.record(np.full((2, 4), batch, np.float32), 0, batch)

    def fill(part: list[int]) -> None:
        for place in part:
            slots[place].array[:] = 3 * place
            slots[place].commit()

    places = list(np.random.default_rng(1).permutation(len(slots)))
    threads = [threading.Thread(target=fill, args=(places[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.sync() == 60
    store.close()
    tensor = only_tensor(tmp_path)
    assert tensor.index()["batch"].tolist() == list(range(60))
    assert tensor.index()["sequence"].tolist() == list(range(1, 61))
    assert all((tensor.at(batch) == batch).all() for batch in range(60))


def test_nothing_behind_an_open_slot_is_shown(tmp_path: Path) -> None:
    store = create(tmp_path, flush_milliseconds=1)
    values = channel(store)
    values.record(np.zeros((1, 4), np.float32), 0, 0)
    slot = values.acquire(1, 0, 1)
    values.record(np.zeros((1, 4), np.float32), 0, 2)
    values.record(np.zeros((300_000, 4), np.float32), 0, 3)
    with pytest.raises(StoreError, match="record 2 of .* is a slot that was not committed"):
        store.sync()
    assert only_tensor(tmp_path).batches == 1
    slot.array[:] = 7
    assert slot.commit() == 2
    assert store.sync() == 4
    store.close()
    tensor = only_tensor(tmp_path)
    assert tensor.index()["batch"].tolist() == [0, 1, 2, 3]
    assert (tensor.get(0, 1) == 7).all()


def test_a_slot_that_is_given_up_is_a_gap(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    values.acquire(1, 0, 0)
    with pytest.raises(ZeroDivisionError), values.acquire(1, 0, 1):
        raise ZeroDivisionError
    with values.acquire(3, 0, 2) as slot:
        slot.array[:] = np.arange(12).reshape(3, 4)
    left_open = values.acquire(1, 0, 3)
    values.record(np.ones((1, 4), np.float32), 0, 4)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        left_open.commit()
    assert store.statistics()["dropped"] == 0
    assert store.statistics()["records"] == 2
    tensor = only_tensor(tmp_path)
    assert tensor.index()["sequence"].tolist() == [3, 5]
    assert (tensor.get(0, 2) == np.arange(12).reshape(3, 4)).all()
    assert StoreReader.open(str(tmp_path)).watermark == 5


def test_memory_is_used_again_once_nobody_holds_it(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store, shape=(1000,))
    addresses = set()
    for batch in range(20):
        with values.acquire(8, 0, batch) as slot:
            assert slot.array.shape == (8, 1000)
            assert slot.address == slot.array.ctypes.data
            assert slot.address % 4096 == 0
            assert slot.capacity == 32768
            slot.array[:] = batch
        addresses.add(slot.address)
        store.sync()
    assert len(addresses) == 1
    with values.acquire(8, 0, 20) as slot:
        held = slot.array
        held[:] = 20
    store.sync()
    with pytest.raises(ValueError, match="read-only"):
        held[:] = 0
    with values.acquire(8, 0, 21) as slot:
        slot.array[:] = 21
        assert slot.address != held.ctypes.data
    assert (held == 20).all()
    store.close()
    tensor = only_tensor(tmp_path)
    assert all((tensor.get(0, batch) == batch).all() for batch in range(22))


def test_a_slot_ends_once(tmp_path: Path) -> None:
    store = create(tmp_path)
    slot = channel(store).acquire(0, 0, 0)
    assert slot.array.shape == (0, 4)
    assert slot.commit() == slot.sequence == 1
    for again in (slot.commit, lambda: slot.array):
        with pytest.raises(ValueError, match="committed or given up already"):
            again()
    store.close()
    assert only_tensor(tmp_path).batches == 1


def test_slots_wait_for_the_staging_memory(tmp_path: Path) -> None:
    store = create(tmp_path, staging_bytes=1 << 20)
    values = channel(store, shape=(1000,))
    for batch in range(100):
        with values.acquire(100, 0, batch) as slot:
            slot.array[:] = batch
    assert store.statistics()["bytes"] == 100 * 400_000
    store.close()
    tensor = only_tensor(tmp_path)
    assert all((tensor.get(0, batch) == batch).all() for batch in range(100))


def test_a_batch_too_large_for_any_memory_is_refused(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    for rows in (1 << 31, 1 << 62):
        with pytest.raises(ValueError, match="the slot has"):
            values.acquire(rows, 0, 0)
    assert values.record(np.zeros((1, 4), np.float32), 0, 0) == 1
    store.close()
