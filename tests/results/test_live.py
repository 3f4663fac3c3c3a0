"""Reading a run that another process writes, and that is then killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars
import pytest

import specplan
from specplan.errors import StoreError
from specplan.results.course import MetricCourse
from specplan.results.open import Run, open_run
from specplan.store.layout import RunFolder
from specplan.store.run_file import Session, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITER = """
import sys, time
import numpy as np
from specplan._native import Store

store = Store.create(sys.argv[1], run_id="20261121-100000")
channels = [
    store.tensor(phase="train", node=node, role="default", field=field, dtype=dtype, shape=shape)
    for node, field, dtype, shape in [
        ("Data", "sample_id", "int64", ()),
        ("MLP", "outputs", "float32", (8,)),
        ("MLP", "targets", "float32", ()),
    ]
]
losses = store.metrics([("train", "MLP", "train", "mse")])
for number in range(1_000_000):
    epoch, batch = divmod(number, 10)
    channels[0].record(np.arange(4) + 4 * batch, epoch, batch)
    channels[1].record(np.full((4, 8), number, np.float32), epoch, batch)
    channels[2].record(np.full(4, number, np.float32), epoch, batch)
    losses.log(np.array([float(number)]), epoch, batch, number)
    if number == 100:
        store.sync()
        print("synced", flush=True)
    time.sleep(0.0002)
"""


@pytest.fixture
def writer(folder_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(folder_path / "records")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "synced\n"
        yield process
        process.kill()


@pytest.fixture
def folder_path(root: Path) -> Path:
    path = root / "toy" / "20261121-100000"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def live(
    writer: subprocess.Popen[str], folder_path: Path, write_run_file: Callable[..., None]
) -> Run:
    folder = RunFolder(folder_path)
    write_run_file(folder, Status.RUNNING)
    own = Run(folder).run_file.sessions[0]
    values = {name: getattr(own, name) for name in own.__struct_fields__}
    session = Session(**{**values, "pid": writer.pid, "started_at": "2999-01-01T00:00:00Z"})
    write_run_file(folder, Status.RUNNING, sessions=(session,))
    return open_run(folder_path)


def check(run: Run) -> int:
    """Everything that is seen belongs together; returns the number of batches."""
    outputs = run.tensors("MLP")
    index = outputs.index()
    numbers = index["epoch"] * 10 + index["batch"]
    np.testing.assert_array_equal(numbers, np.arange(len(outputs)))
    np.testing.assert_array_equal(outputs.stacked()[:, 0], np.repeat(numbers, 4).astype(np.float32))
    frame = run.execution("train").to_polars()
    assert frame.height % 4 == 0
    np.testing.assert_array_equal(frame["MLP.outputs"].to_numpy()[:, 0], frame["MLP.targets"])
    values = run.metrics("mse").arrow.column("value").to_numpy()
    np.testing.assert_array_equal(values, np.arange(len(values)))
    return len(outputs)


def test_a_running_run_is_read_again_and_again(live: Run) -> None:
    assert live.status is Status.RUNNING
    seen = check(live)
    assert seen > 100
    assert check(live) == seen
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        live.refresh()
        now = check(live)
        assert now >= seen
        seen = now
    assert seen > 500


DOCUMENTED = Path(__file__).parents[2] / "docs/results.md"


def documented_lines() -> list[str]:
    text = DOCUMENTED.read_text()
    return (
        text.partition("over a run that goes on:\n\n```python\n")[2]
        .partition("```")[0]
        .splitlines()
    )


@pytest.mark.parametrize("line", documented_lines(), ids=lambda line: line.partition("(")[0])
def test_the_documented_queries_read_a_running_run(live: Run, line: str) -> None:
    path = live.folder.path
    line = line.replace("runs/digits/RUN", str(path)).replace('"digits"', f"{str(path)!r}")
    for documented, here in (
        ('execution("test")', 'execution("train")'),
        ("CNN.targets", "MLP.targets"),
        ("train_loss", "mse"),
    ):
        line = line.replace(documented, here)
    for _ in range(20):
        found = answer(line)
        rows = found.fetchall() if isinstance(found, duckdb.DuckDBPyRelation) else found.rows()
        assert rows
        assert all(value is not None for row in rows for value in row)
    assert live.status is Status.RUNNING


def answer(line: str) -> Any:
    """What a documented line gives. polars reads the files itself, and may have to read again, as the page says."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return eval(line, {"duckdb": duckdb, "polars": polars, "specplan": specplan})
        except polars.exceptions.ComputeError:
            if not line.startswith("polars.scan_ipc") or time.monotonic() > deadline:
                raise


def test_there_are_documented_queries() -> None:
    assert len(documented_lines()) == 4


def test_a_killed_run_keeps_what_was_committed(live: Run, writer: subprocess.Popen[str]) -> None:
    before = check(live)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    live.refresh()
    assert live.status is Status.INTERRUPTED
    assert check(live) >= before
    assert check(open_run(live.folder.path)) >= before


def test_a_store_that_is_being_made_holds_nothing_yet(
    folder: RunFolder, write_run_file: Callable[..., None]
) -> None:
    folder.records_description.unlink()
    write_run_file(folder, Status.RUNNING)
    assert open_run(folder.path).metrics().num_rows == 0
    course = MetricCourse(folder)
    course.refresh()
    assert course.metrics == {}
    write_run_file(folder, Status.COMPLETED)
    with pytest.raises(StoreError, match=r"no `store\.json`"):
        open_run(folder.path).metrics()
