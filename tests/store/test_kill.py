"""Writers that end without a close: killed, forked, or out of space."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from specplan._native import StoreReader, export_metrics
from specplan.errors import StoreError
from tests.store.live_writer import check_prefix, start_writer
from tests.store.records import create, only_tensor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("sizes", ["3,40,0,7", "1", "2500,5"])
def test_kill_at_a_random_moment(tmp_path: Path, sizes: str) -> None:
    generator = random.Random(sizes)
    watermarks = []
    for trial in range(6):
        path = tmp_path / str(trial)
        writer = start_writer(path, sizes, 10**9)
        time.sleep(generator.uniform(0, 0.25))
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        watermarks.append(check_prefix(path, [int(size) for size in sizes.split(",")]))
        rows = export_metrics(str(path), str(tmp_path / "metrics.parquet"), run_id="r")
        assert rows == watermarks[-1] // 2
    assert max(watermarks) > 0


def test_what_was_synced_survives_a_kill(tmp_path: Path) -> None:
    code = """
import os, signal, sys, numpy as np
from specplan._native import Store
store = Store.create(sys.argv[1], run_id="r", flush_milliseconds=60_000)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="int64", shape=[])
for batch in range(1000):
    values.record(np.arange(7) + batch, 0, batch)
assert store.sync() == 1000
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert result.returncode == -signal.SIGKILL
    reader = StoreReader.open(str(tmp_path))
    assert (reader.watermark, reader.closed) == (1000, False)
    assert all(
        (reader.tensors()[0].get(0, batch) == np.arange(7) + batch).all() for batch in range(1000)
    )


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "raise RuntimeError", "del store, values"])
def test_exit_without_close_loses_nothing(tmp_path: Path, ending: str) -> None:
    code = f"""
import sys, numpy as np
from specplan._native import Store
store = Store.create(sys.argv[1], run_id="r", flush_milliseconds=60_000)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="int64", shape=[])
for batch in range(500):
    values.record(np.arange(7) + batch, 0, batch)
{ending}
"""
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, timeout=50
    )
    reader = StoreReader.open(str(tmp_path))
    assert (reader.watermark, reader.closed) == (500, True)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_write_and_does_not_hold_the_lock(tmp_path: Path) -> None:
    code = """
import os, sys, time, numpy as np
from specplan._native import Store
from specplan.errors import StoreError
store = Store.create(sys.argv[1], run_id="r")
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="int64", shape=[])
values.record(np.arange(7), 0, 0)
child = os.fork()
if child == 0:
    try:
        values.record(np.arange(7), 0, 1)
    except StoreError as error:
        assert f"belongs to process {os.getppid()}" in str(error), error
        store.close()
        del values, store
        sys.exit(7)
    sys.exit(8)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
if os.fork() == 0:
    time.sleep(20)
values.record(np.arange(7), 0, 1)
store.sync()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=240)
    assert only_tensor(tmp_path).batches == 2
    # The sleeping grandchild lives on; the lock went with its owner.
    with pytest.raises(StoreError, match="holds records already"):
        create(tmp_path)


def test_a_failed_write_is_raised_by_the_next_calls(tmp_path: Path) -> None:
    code = """
import resource, signal, sys, numpy as np
from specplan._native import Store
from specplan.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.create(sys.argv[1], run_id="r")
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="float64", shape=[100])
for batch in range(5):
    values.record(np.full((10, 100), batch, np.float64), 0, batch)
store.sync()
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
errors = []
for batch in range(5, 2000):
    try:
        values.record(np.full((10, 100), batch, np.float64), 0, batch)
    except StoreError as error:
        errors.append(str(error))
for call in (store.sync, store.close):
    try:
        call()
    except StoreError as error:
        errors.append(str(error))
assert errors and all("File too large" in error and "arrow" in error for error in errors), errors[:3]
assert store.statistics()["dropped"] > 0
print(len(errors))
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    tensor = only_tensor(tmp_path)
    assert tensor.batches >= 5
    assert all((tensor.get(0, batch) == batch).all() for batch in range(tensor.batches))
