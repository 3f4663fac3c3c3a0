"""How runs of programs begin and end where the disk is full, or something is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import specplan
from specplan import StoreError
from specplan.plan.model import Results
from specplan.store.recorder import Recorder
from specplan.store.run_file import Status
from specplan.track.run import TrackedRun
from tests.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Iterator[TrackedRun]:
    """A run on a disk on which nothing fits any more: only what was kept for its end."""
    with small_disk(tmp_path, "2m") as disk:
        run = TrackedRun.start(disk, "line")
        run.log_metrics({"kept": 1.0})
        run.sync()
        with pytest.raises(OSError, match="No space"):
            fill(disk / "ballast")
        yield run


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 10))


def log_until_it_fails(run: TrackedRun) -> StoreError:
    with pytest.raises(StoreError, match="No space left on device") as raised:
        log(run, 10_000_000)
    return raised.value


def log(run: TrackedRun, times: int) -> None:
    for step in range(times):
        run.log_metrics({"loss": 1.0}, step=step)


def test_what_failed_is_what_ended_the_run(run: TrackedRun) -> None:
    error = log_until_it_fails(run)
    run.end(Status.FAILED, error)
    (note,) = error.__notes__
    assert note.startswith("the records could not be closed: ")
    check(run, "StoreError", "No space left on device")


def test_another_exception_is_told_with_a_note(run: TrackedRun) -> None:
    log_until_it_fails(run)
    error = ValueError("of the program")
    run.end(Status.FAILED, error)
    assert error.__notes__[0].startswith("the records could not be closed: ")
    check(run, "ValueError", "of the program")
    run.end(Status.COMPLETED)
    assert specplan.open(run.folder.path).status == "failed"


def test_without_an_exception_the_full_disk_is_it(run: TrackedRun) -> None:
    log_until_it_fails(run)
    with pytest.raises(StoreError, match="No space left on device"):
        run.end()
    check(run, "StoreError", "No space left on device")


def check(run: TrackedRun, kind: str, message: str) -> None:
    """run.json and the traceback are on the disk, and what was recorded before is read."""
    opened = specplan.open(run.folder.path)
    assert opened.status == "failed"
    error = opened.run_file.error
    assert error is not None
    assert error.type == kind
    assert message in error.message
    assert message in opened.folder.error_log.read_text("utf-8")
    assert opened.metrics("kept").arrow.column("value").to_pylist() == [1.0]
    assert not opened.folder.reserve.exists()


def test_a_run_whose_records_cannot_be_made_has_failed(tmp_path: Path) -> None:
    folder = tmp_path / "line" / "first"
    folder.mkdir(parents=True)
    (folder / "records").write_text("in the way")
    with pytest.raises(StoreError):
        TrackedRun.start(tmp_path, "line", run_id="first")
    assert specplan.open(folder).status == "failed"
    assert (folder / "logs" / "error.txt").is_file()


def test_a_run_whose_records_another_writes_stays_as_it_is(tmp_path: Path) -> None:
    run = TrackedRun.start(tmp_path, "line")
    run.end()
    before = run.folder.run_file.read_bytes()
    other = Recorder(run.folder, run.id, results=Results(), session=2)
    with pytest.raises(StoreError):
        TrackedRun.go_on(run.folder)
    other.close()
    assert run.folder.run_file.read_bytes() == before
