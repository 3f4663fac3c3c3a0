"""Runs as they lie on disk, written by the real store."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from specplan._native import Store
from specplan.plan.canonical import plan_bytes, plan_id
from specplan.plan.model import (
    Component,
    Eval,
    Experiment,
    Graph,
    Numerics,
    Plan,
    Sampler,
    Train,
)
from specplan.results.open import Run, open_run
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder
from specplan.store.run_file import RunFile, Session, Status
from tests.cli.conftest import write_project

WriteRunFile = Callable[..., None]
STARTED = "2026-11-21T10:00:00+00:00"
EPOCHS, BATCHES, ROWS = 3, 4, 5


def _write_run_file(folder: RunFolder, status: Status = Status.COMPLETED, **changes: Any) -> None:
    """run.json of a run by this process, which is alive."""
    folder.path.mkdir(parents=True, exist_ok=True)
    session = Session(
        session=1,
        pid=os.getpid(),
        host=socket.gethostname(),
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        started_at=STARTED,
    )
    run_file = RunFile(
        run_id=folder.path.name,
        experiment=folder.path.parent.name,
        version=1,
        plan_id="b3:" + "0" * 64,
        status=status,
        created_at=STARTED,
        sessions=(session,),
    )
    run_file = msgspec.structs.replace(run_file, **changes)
    folder.run_file.write_bytes(encode_checked(run_file))
    folder.plan_file.write_bytes(plan_bytes(_plan()))


def _plan() -> Plan:
    """A plan of which only the phases matter here: the first records its last epoch only."""
    phase: dict[str, Any] = {
        "data": "Data",
        "split": None,
        "rows": 20,
        "nodes": (),
        "steps": BATCHES,
    }
    train = Train(
        **phase,
        path="train",
        record="last",
        epochs=EPOCHS,
        sampler=Sampler(component=Component(use="simple"), seed=0),
        trainable=(),
        optimizer=Component(use="sgd"),
    )
    plan = Plan(
        id="",
        experiment=Experiment(id="toy"),
        numerics=Numerics(seed=0, threads=None, deterministic=True),
        data={},
        graph=Graph(nodes={}, order=()),
        phases=(train, Eval(**phase, path="test.eval", record="all")),
    )
    return msgspec.structs.replace(plan, id=plan_id(plan))


@pytest.fixture(scope="session")
def write_run_file() -> WriteRunFile:
    """Writes run.json into a run folder."""
    return _write_run_file


def _batch_of(epoch: int, batch: int) -> np.ndarray:
    """Outputs of five rows that say where they were recorded."""
    rows = np.arange(ROWS * 2, dtype=np.float32).reshape(ROWS, 2)
    return rows + np.float32(1000 * epoch + 100 * batch)


@pytest.fixture(scope="session")
def batch_of() -> Callable[[int, int], np.ndarray]:
    """What was recorded as outputs in a batch."""
    return _batch_of


def _record(store: Store, *, epochs: int = EPOCHS) -> None:
    """A train phase with two channels and sample ids, an eval phase, and metrics of both."""
    common = {"phase": "train", "node": "MLP", "role": "default"}
    sample_id = store.tensor(
        phase="train", node="Data", role="default", field="sample_id", dtype="int64", shape=()
    )
    outputs = store.tensor(**common, field="outputs", dtype="float32", shape=(2,))
    targets = store.tensor(**common, field="targets", dtype="float64", shape=())
    of_batch = store.metrics([("train", "MLP", "train", "mse")])
    of_epoch = store.metrics([("train", "MLP", "train", "mse"), ("train", None, "val", "val_loss")])
    step = 0
    for epoch in range(epochs):
        for batch in range(BATCHES):
            step += 1
            sample_id.record(np.arange(ROWS) + ROWS * batch, epoch, batch)
            outputs.record(_batch_of(epoch, batch), epoch, batch)
            targets.record(np.full(ROWS, float(epoch)), epoch, batch)
            of_batch.log(np.array([1.0 / step]), epoch, batch, step)
        of_epoch.log(np.array([10.0 + epoch, 20.0 + epoch]), epoch, -1, step)
    evaluated = store.tensor(
        phase="test.eval", node="MLP", role="default", field="outputs", dtype="float32", shape=(2,)
    )
    evaluated.record(_batch_of(0, 0), 0, 0)
    store.metrics([("test.eval", None, "test", "eval_loss")]).log(np.array([0.5]), 0, -1, step)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def folder(root: Path) -> RunFolder:
    """A completed run without tables."""
    folder = RunFolder(root / "toy" / "20261121-100000")
    _write_run_file(folder)
    store = Store.create(str(folder.records), run_id=folder.path.name)
    _record(store)
    store.close()
    return folder


@pytest.fixture
def run(folder: RunFolder) -> Run:
    return open_run(folder.path)


@pytest.fixture(scope="session")
def recorded_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that is not damaged, with every file that a run can have."""
    folder = tmp_path_factory.mktemp("verify")
    write_project(folder)
    spec = json.loads((folder / "line.json").read_text())
    (feature_set,) = spec["data"].values()
    feature_set["scale"] = [{"use": "negate", "columns": feature_set["features"]}]
    (folder / "line.json").write_text(json.dumps(spec))
    subprocess.run(
        [sys.executable, "-m", "specplan.cli.main", "run", "line.json", "--quiet"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (run,) = (folder / "runs" / "line").iterdir()
    return RunFolder(run)


@pytest.fixture
def damaged(recorded_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the run, to be damaged."""
    return RunFolder(Path(shutil.copytree(recorded_run.path, tmp_path / recorded_run.path.name)))
