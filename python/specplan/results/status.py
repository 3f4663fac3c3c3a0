"""How a run stands, as far as anybody can tell from outside."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from specplan.errors import RunError
from specplan.store.checked_json import matches_checksum
from specplan.store.run_file import PhaseTiming, RunFile, Session, Status, boot_id

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder

FORMAT = 1


def read_run_file(folder: RunFolder) -> RunFile:
    """run.json of a run.

    Raises:
        RunError: there is none, or nobody may read it, or it is damaged, or newer than this program.
    """
    try:
        # A pipe of that name would be waited for.
        if not folder.run_file.is_file():
            raise RunError(f"no run in `{folder.path}`: it has no run.json")
        content = folder.run_file.read_bytes()
    except OSError as error:
        raise RunError(f"{folder.run_file} cannot be read: {error.strerror}") from error
    try:
        found = msgspec.json.decode(content, type=_Version).format
        if found > FORMAT:
            raise RunError(f"{folder.run_file} has format {found}; this program reads {FORMAT}")
        if not matches_checksum(content):
            raise RunError(f"{folder.run_file} is damaged: it does not match its checksum")
        run_file = msgspec.json.decode(content, type=RunFile)
        _check_times(run_file)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{folder.run_file} is damaged: {error}") from error
    return run_file


class _Version(msgspec.Struct):
    """What is looked at first: a later format may have other keys."""

    format: int


def _check_times(run_file: RunFile) -> None:
    if not run_file.sessions:
        raise ValueError("it has no session")
    datetime.fromisoformat(run_file.created_at)
    spans: list[Session | PhaseTiming] = [*run_file.sessions, *run_file.phases]
    for span in spans:
        datetime.fromisoformat(span.started_at)
        if span.ended_at is not None:
            datetime.fromisoformat(span.ended_at)


def status_now(run_file: RunFile) -> Status:
    """The status in run.json; `interrupted` where that says `running` and the process is gone.

    A run of another host is believed.
    """
    return present_status(run_file.status, run_file.sessions[-1])


def present_status(written: Status, session: Session) -> Status:
    """As `status_now`, of the status that was written and the newest session."""
    if written.is_unfinished:
        if session.ended_at is not None:
            return written  # prepared, and nothing more
        if session.host == socket.gethostname() and not _is_alive(session):
            return Status.INTERRUPTED
    return written


def phases_now(run_file: RunFile) -> tuple[PhaseTiming, ...]:
    """The phases in run.json; one that runs in a process that is gone is `interrupted` as the run is."""
    if status_now(run_file) is not Status.INTERRUPTED:
        return run_file.phases
    return tuple(
        msgspec.structs.replace(phase, status=Status.INTERRUPTED)
        if phase.status is Status.RUNNING
        else phase
        for phase in run_file.phases
    )


def _is_alive(session: Session) -> bool:
    here = boot_id()
    if here and session.boot_id not in ("", here):
        return False
    return lives(session.pid) and not _started_later(session)


def lives(pid: int) -> bool:
    """Whether there is a process of this number on this host."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _started_later(session: Session) -> bool:
    """Whether the process is a younger one that was given the same pid."""
    try:
        # The second field is the command in parentheses and may itself hold spaces and parentheses.
        fields = Path(f"/proc/{session.pid}/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return False
    age = uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    recorded = datetime.fromisoformat(session.started_at)
    # The clock may have been set since; a minute is more than that usually takes back or forth.
    return age + 60 < (datetime.now(recorded.tzinfo) - recorded).total_seconds()
