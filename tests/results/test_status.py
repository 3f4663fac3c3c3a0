"""Status from outside: a run whose process is gone is interrupted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from specplan.errors import RunError
from specplan.results.status import phases_now, read_run_file, status_now
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder
from specplan.store.run_file import PhaseTiming, Status

if TYPE_CHECKING:
    from pathlib import Path

WriteRunFile = Callable[..., None]
LATER = "2999-01-01T00:00:00+00:00"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "toy" / "20261121-100000")


@pytest.fixture
def status_with(folder: RunFolder, write_run_file: WriteRunFile) -> Callable[..., Status]:
    """The status of a running run whose session is changed."""
    write_run_file(folder, Status.RUNNING)
    run_file = read_run_file(folder)

    def status(**changes: object) -> Status:
        session = msgspec.structs.replace(run_file.sessions[0], **changes)
        return status_now(msgspec.structs.replace(run_file, sessions=(session,)))

    return status


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_live_process_is_running(status_with: Callable[..., Status]) -> None:
    assert status_with(started_at=LATER) is Status.RUNNING


def test_a_dead_process_is_interrupted(status_with: Callable[..., Status]) -> None:
    assert status_with(pid=dead_pid()) is Status.INTERRUPTED


def test_a_younger_process_with_the_pid_is_interrupted(status_with: Callable[..., Status]) -> None:
    assert status_with(started_at="2001-01-01T00:00:00+00:00") is Status.INTERRUPTED


def test_a_run_before_the_last_boot_is_interrupted(status_with: Callable[..., Status]) -> None:
    assert status_with(boot_id="another") is Status.INTERRUPTED


def test_another_host_is_believed(status_with: Callable[..., Status]) -> None:
    assert status_with(host="elsewhere", pid=dead_pid()) is Status.RUNNING


def test_the_phase_of_a_dead_process_is_interrupted(
    folder: RunFolder, write_run_file: WriteRunFile
) -> None:
    done = PhaseTiming(path="fit", started_at=LATER, ended_at=LATER, status=Status.COMPLETED)
    phases = (done, PhaseTiming(path="train", started_at=LATER))
    write_run_file(folder, Status.RUNNING, phases=phases)
    run_file = read_run_file(folder)
    alive = msgspec.structs.replace(run_file.sessions[0], started_at=LATER)
    gone = msgspec.structs.replace(alive, pid=dead_pid())
    for session, status in ((alive, Status.RUNNING), (gone, Status.INTERRUPTED)):
        shown = phases_now(msgspec.structs.replace(run_file, sessions=(session,)))
        assert [phase.status for phase in shown] == [Status.COMPLETED, status]


def test_a_final_status_stays(folder: RunFolder, write_run_file: WriteRunFile) -> None:
    write_run_file(folder, Status.FAILED)
    assert status_now(read_run_file(folder)) is Status.FAILED


def test_a_damaged_run_file(folder: RunFolder, write_run_file: WriteRunFile) -> None:
    write_run_file(folder)
    folder.run_file.write_bytes(encode_checked({"format": 1, "run_id": 7}))
    with pytest.raises(RunError, match=r"run\.json is damaged: Expected `str`, got `int`"):
        read_run_file(folder)


def test_a_run_file_with_any_byte_changed(folder: RunFolder, write_run_file: WriteRunFile) -> None:
    write_run_file(folder)
    content = folder.run_file.read_bytes()
    for position in range(len(content)):
        for bit in (1, 128):
            folder.run_file.write_bytes(
                content[:position] + bytes([content[position] ^ bit]) + content[position + 1 :]
            )
            with pytest.raises(RunError, match=r"run\.json (is damaged|has format)"):
                read_run_file(folder)


@pytest.mark.parametrize("lost", [2, 3, 20, 100, 10_000])
def test_a_run_file_that_was_cut(
    folder: RunFolder, write_run_file: WriteRunFile, lost: int
) -> None:
    write_run_file(folder)
    folder.run_file.write_bytes(folder.run_file.read_bytes()[:-lost])
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        read_run_file(folder)


def test_a_run_file_without_a_checksum(folder: RunFolder, write_run_file: WriteRunFile) -> None:
    write_run_file(folder)
    folder.run_file.write_bytes(msgspec.json.encode(read_run_file(folder)))
    with pytest.raises(RunError, match=r"run\.json is damaged: it does not match its checksum$"):
        read_run_file(folder)


def test_a_newer_run_file(folder: RunFolder, write_run_file: WriteRunFile) -> None:
    write_run_file(folder, format=2)
    with pytest.raises(RunError, match=r"run\.json has format 2; this program reads 1"):
        read_run_file(folder)


def test_no_run_file(folder: RunFolder) -> None:
    with pytest.raises(RunError, match=r"it has no run\.json"):
        read_run_file(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sessions": ()}, "it has no session"),
        ({"created_at": "yesterday"}, "Invalid isoformat string: 'yesterday'"),
    ],
)
def test_a_run_file_that_cannot_be(
    folder: RunFolder, write_run_file: WriteRunFile, changes: dict[str, object], said: str
) -> None:
    write_run_file(folder)
    run_file = msgspec.structs.replace(read_run_file(folder), **changes)
    folder.run_file.write_bytes(encode_checked(run_file))
    with pytest.raises(RunError, match=rf"run\.json is damaged: {said}$"):
        read_run_file(folder)
