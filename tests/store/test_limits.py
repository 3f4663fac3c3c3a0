"""Stores at the limits that the system sets: descriptors and memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from tests.store.records import channel, create, only_tensor

if TYPE_CHECKING:
    from pathlib import Path


def run_limited(code: str, path: Path, descriptors: int) -> subprocess.CompletedProcess[str]:
    """Run a program that may have only this many files open, counting those of the interpreter."""
    code = f"""
import os, resource, sys, numpy as np
from specplan._native import Store, StoreReader
path = sys.argv[1]
resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors}))
{code}
"""
    return subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_more_channels_than_descriptors(tmp_path: Path) -> None:
    code = """
store = Store.create(path, run_id="r", staging_bytes=1 << 20)
labels = {"phase": "train", "role": "default", "field": "outputs"}
channels = [
    store.tensor(node=f"N{number}", **labels, dtype="float64", shape=[40000 if number == 90 else 3])
    for number in range(100)
]
for batch in range(3):
    for number, values in enumerate(channels):
        values.record(np.full((2, 40000 if number == 90 else 3), 100.0 * batch + number), 0, batch)
    store.sync()
reader = StoreReader.open(path)
store.close()
for reader in (reader, StoreReader.open(path)):
    for number, tensor in enumerate(reader.tensors()):
        assert tensor.batches == 3
        assert all((tensor.get(0, batch) == 100 * batch + number).all() for batch in range(3))
"""
    result = run_limited(code, tmp_path, 64)
    assert result.returncode == 0, result.stderr


def test_an_error_without_a_free_descriptor(tmp_path: Path) -> None:
    code = """
store = Store.create(path, run_id="r")
labels = {"phase": "train", "role": "default", "field": "outputs"}
values = store.tensor(node="N", **labels, dtype="float64", shape=[])
try:
    while True:
        os.dup(0)
except OSError:
    pass
values.record(np.zeros(3), 0, 0)
try:
    store.sync()
except Exception as error:
    print(type(error).__name__, error)
"""
    result = run_limited(code, tmp_path, 64)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("StoreError cannot create `")
    assert result.stdout.endswith("Too many open files (os error 24)\n")


def test_memory_is_taken_when_it_is_needed(tmp_path: Path) -> None:
    store = create(tmp_path, staging_bytes=1 << 62)
    channel(store).record(np.ones((2, 4), np.float32), 0, 0)
    store.close()
    assert (only_tensor(tmp_path).get(0, 0) == 1).all()
