"""One writer and four processes of four libraries that read its files all the time: nothing is torn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from specplan._native import StoreReader
from tests.store.live_readers import SIZES
from tests.store.live_writer import ENDS_WITH_ITS_PARENT, check_prefix

READS = int(os.environ.get("SPECPLAN_READS", "500"))
ROOT = Path(__file__).parent.parent.parent

SLOW_WRITER = f"""
{ENDS_WITH_ITS_PARENT}
import select, sys, time, numpy as np
from specplan._native import Store
store = Store.create(sys.argv[1], run_id="r", flush_milliseconds=2)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="float64", shape=[33])
loss = store.metrics([("train", None, None, "loss")])
print("ready", flush=True)
batch, start = 0, time.monotonic()
while not select.select([sys.stdin], [], [], 0)[0]:
    rows = [3, 40, 0, 7][batch % 4]
    values.record(np.arange(rows * 33, dtype=np.float64).reshape(rows, 33) + batch, batch // 100, batch % 100)
    loss.log(np.array([float(batch)]), batch // 100, batch % 100, batch)
    batch += 1
    time.sleep(0.003)
store.close()
"""


@pytest.mark.slow
@pytest.mark.timeout(60 + READS // 5)
def test_nobody_sees_half_of_anything(tmp_path: Path) -> None:
    path = tmp_path / "records"
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        names = ["specplan", "pyarrow", "polars", "duckdb"]
        readers = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.store.live_readers", name, str(path), str(READS)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name in names
        ]
        answers = [reader.communicate() for reader in readers]
        writer.stdin.write("end\n")
    for name, reader, (output, errors) in zip(names, readers, answers, strict=True):
        assert reader.returncode == 0, f"{name}: {errors}"
        assert output.startswith(f"{name}: {READS} reads"), output
    assert writer.returncode == 0
    assert check_prefix(path, SIZES) > 0
    assert StoreReader.open(str(path)).closed
