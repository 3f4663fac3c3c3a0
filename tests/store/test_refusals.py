"""What a store refuses, and how it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from specplan._native import Store, StoreReader
from specplan.errors import StoreError
from tests.store.records import channel, create

if TYPE_CHECKING:
    from pathlib import Path


def test_wrong_arrays(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    with pytest.raises(TypeError, match=r"^the array is `float64`; the channel holds `float32`$"):
        values.record(np.zeros((2, 4)), 0, 0)
    with pytest.raises(TypeError, match="the array is `>f4`"):
        values.record(np.zeros((2, 4), ">f4"), 0, 0)
    with pytest.raises(
        ValueError, match=r"^the array has shape \(2, 3\); the channel holds \(rows, 4\)$"
    ):
        values.record(np.zeros((2, 3), np.float32), 0, 0)
    with pytest.raises(ValueError, match=r"shape \(\)"):
        values.record(np.array(1, np.float32), 0, 0)
    with pytest.raises(
        TypeError, match=r"^expected an array, a CPU tensor or a buffer, got `list`$"
    ):
        values.record([1.0], 0, 0)
    masked = np.ma.masked_array(np.zeros((2, 4), np.float32), mask=np.eye(2, 4, dtype=bool))
    with pytest.raises(TypeError, match=r"^a masked array cannot be recorded: .* `\.filled\(0\)`$"):
        values.record(masked, 0, 0)
    with pytest.raises(ValueError, match="unknown dtype `float31`; known: bool, "):
        channel(store, dtype="float31")
    with pytest.raises(ValueError, match=r"is float32 \[4\], not float32 \[5\]"):
        channel(store, shape=(5,))
    with pytest.raises(
        ValueError,
        match=r"^a recorded value cannot be named `batch`: .* for a key; taken: epoch, batch$",
    ):
        channel(store, "batch")
    with pytest.raises(ValueError, match="too large"):
        channel(store, "huge", shape=(1 << 40, 1 << 40))
    group = store.metrics([("train", None, None, "loss")])
    with pytest.raises(ValueError, match=r"^the buffer of values has 16 bytes; expected 8$"):
        group.log(np.zeros(2), 0, 0, 0)
    assert store.sync() == 0


def _without_storage() -> torch.Tensor:
    tensor = torch.ones(5, 4)[1:]
    tensor.untyped_storage().resize_(0)
    return tensor


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (_without_storage(), "`Tensor` \\(torch.float32, torch.strided\\) are not in memory"),
        (torch._efficientzerotensor((2, 4)), "are not in memory; make it a plain tensor first$"),
        (torch.ones(2, 4).to_sparse(), "torch.sparse_coo"),
        (torch.ones(2, 4).to_mkldnn(), "torch._mkldnn"),
        (torch.ones(2, 4, device="meta"), "^the tensor is on `meta`; move it to the CPU first$"),
    ],
)
def test_tensors_that_are_not_in_memory(tmp_path: Path, tensor: torch.Tensor, message: str) -> None:
    store = create(tmp_path)
    with pytest.raises(TypeError, match=message):
        channel(store).record(tensor, 0, 0)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    store = create(tmp_path)
    with pytest.raises(StoreError, match=f"is being written by process {os.getpid()}$"):
        create(tmp_path)
    code = "import sys; from specplan._native import Store; Store.create(sys.argv[1], run_id='r')"
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert f"is being written by process {os.getpid()}" in other.stderr
    store.close()
    with pytest.raises(StoreError, match="holds records already"):
        create(tmp_path)


def test_a_closed_store_refuses(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    store.close()
    store.close()
    for call in (
        store.sync,
        lambda: values.record(np.zeros((1, 4), np.float32), 0, 0),
        lambda: channel(store, "x"),
    ):
        with pytest.raises(StoreError, match=r"is closed$"):
            call()


def test_wrong_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^the path of a store is empty$"):
        Store.create("", run_id="run")
    with pytest.raises(ValueError, match=r"^sessions are numbered from 1$"):
        Store.create("store", run_id="run", session=0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a record store"):
        StoreReader.open(str(tmp_path))
