"""A kill at any file operation of an export leaves the table before it, a whole one, or none."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from specplan._native import Store, verify_parquet
from tests.torture.kills import every_kill
from tests.torture.tools import Fault, read_log

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.tools import Tools

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from specplan._native import export_execution, export_metrics
export_metrics(sys.argv[1], sys.argv[2] + "/metrics.parquet", run_id="run")
export_execution(sys.argv[1], "train", sys.argv[2] + "/execution-train.parquet", run_id="run")
"""
FEWEST_OPERATIONS = 10


def export(
    tools: Tools, records: Path, tables: Path, fault: Fault | None = None, log: Path | None = None
) -> int:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(records), str(tables)],
        env=tools.environment(tables, fault, log=log),
        check=False,
    ).returncode


def record(path: Path) -> None:
    store = Store.create(str(path), run_id="run")
    outputs = store.tensor(
        phase="train", node="MLP", role="default", field="outputs", dtype="float32", shape=(3,)
    )
    loss = store.metrics([("train", "MLP", None, "loss")])
    for batch in range(20):
        outputs.record(np.full((4, 3), batch, np.float32), 0, batch)
        loss.log(np.array([float(batch)]), 0, batch, batch)
    store.close()


@pytest.mark.timeout(300)
def test_a_kill_during_an_export_leaves_no_half_table(tools: Tools, scratch: Path) -> None:
    records, tables, log = scratch / "records", scratch / "tables", scratch / "log"
    record(records)
    tables.mkdir()
    assert export(tools, records, tables, log=log) == 0
    faults = every_kill(read_log(log))
    assert len(faults) >= FEWEST_OPERATIONS
    whole = {path.name: path.read_bytes() for path in tables.iterdir()}
    for before in (whole, {}):
        for fault in faults:
            for path in tables.iterdir():
                path.unlink()
            for name, content in before.items():
                (tables / name).write_bytes(content)
            assert export(tools, records, tables, fault) == -signal.SIGKILL, fault
            for path in tables.glob("*.parquet"):
                verify_parquet(str(path))
            assert {path.name for path in tables.glob("*.parquet")} >= set(before), fault
