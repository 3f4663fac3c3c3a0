"""Creating a run folder, and run.json as it changes while the run goes on."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from specplan._native import StoreReader
from specplan.base.files import in_the_making, sync_folder, write_atomically
from specplan.errors import RunError
from specplan.plan.canonical import write_map, write_plan, write_spec
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder, experiment_folder, removed_file
from specplan.store.run_file import (
    BestEpoch,
    ErrorRecord,
    PhaseTiming,
    RunFile,
    Session,
    Status,
    boot_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from specplan.plan.model import Compiled, Experiment


RESERVE_BYTES = 64 << 10
"""Room for the last run.json and the traceback of a run that fails because the disk is full."""


class Journal:
    """Keeps run.json up to date. One process writes it; readers always find a whole file.

    The last change has room that was kept for it. Where records may be dropped, one before it that
    finds the disk full waits for the next.
    """

    def __init__(self, folder: RunFolder, run_file: RunFile, *, drops: bool = False) -> None:
        self.folder = folder
        self.run_file = run_file
        self._drops = drops

    def phase_started(self, path: str) -> None:
        """A phase begins."""
        timing = PhaseTiming(path=path, started_at=timestamp())
        self._replace(phases=(*self.run_file.phases, timing))

    def phase_ended(self, status: Status) -> None:
        """The phase that began last is over."""
        *earlier, last = self.run_file.phases
        last = msgspec.structs.replace(last, ended_at=timestamp(), status=status)
        self._replace(phases=(*earlier, last))

    def phase_skipped(self, path: str, reason: str) -> None:
        """A phase is not run. Written with the next change."""
        now = timestamp()
        timing = PhaseTiming(
            path=path, started_at=now, ended_at=now, status=Status.SKIPPED, reason=reason
        )
        phases = (*self.run_file.phases, timing)
        self.run_file = msgspec.structs.replace(self.run_file, phases=phases)

    def is_open(self, path: str) -> bool:
        """Whether a phase has begun and not ended."""
        timings = self.run_file.phases
        return any(timing.path == path and timing.ended_at is None for timing in timings)

    def is_interrupted(self, path: str) -> bool:
        """Whether a phase had begun when the run was interrupted."""
        timings = self.run_file.phases
        return any(each.path == path and each.status is Status.INTERRUPTED for each in timings)

    def epoch_kept(self, epoch: int, best: BestEpoch | None) -> None:
        """The train phase that began last would leave the weights of `epoch`. Written with the next change."""
        kept = {**self.run_file.kept_epochs, self.run_file.phases[-1].path: epoch}
        self.run_file = msgspec.structs.replace(self.run_file, kept_epochs=kept)
        self._tell_last(best=best)

    def training_stopped(self, ending: str) -> None:
        """Early stopping ended the phase that began last. Written with the next change."""
        self._tell_last(ending=ending)

    def _tell_last(self, **changes: object) -> None:
        *earlier, last = self.run_file.phases
        phases = (*earlier, msgspec.structs.replace(last, **changes))
        self.run_file = msgspec.structs.replace(self.run_file, phases=phases)

    def ended(
        self,
        status: Status,
        *,
        error: ErrorRecord | None,
        statistics: Mapping[str, int],
        at: datetime | None = None,
    ) -> None:
        """The run is over and its records are closed; it ended now, or `at` a time before."""
        self.make_room()
        if self.run_file.phases and self.run_file.phases[-1].ended_at is None:
            self.phase_ended(status)
        *earlier, last = self.run_file.sessions
        ended_at = timestamp() if at is None else iso(at)
        started_at = min(last.started_at, ended_at)  # who tells it late may go on with a run for it
        self._replace(
            status=status,
            error=error,
            statistics=dict(statistics),
            sessions=(
                *earlier,
                msgspec.structs.replace(last, started_at=started_at, ended_at=ended_at),
            ),
        )

    def continued(self, session: Session, versions: Mapping[str, str]) -> None:
        """The run goes on, in another session and with the packages that are there now."""
        self._replace(
            status=Status.RUNNING,
            error=None,
            sessions=(*self.run_file.sessions, session),
            versions=dict(versions),
        )

    def make_room(self) -> None:
        """Give up the room that was kept for the end of the run."""
        self.folder.reserve.unlink(missing_ok=True)

    def _replace(self, **changes: object) -> None:
        self.run_file = msgspec.structs.replace(self.run_file, **changes)
        try:
            write_atomically(self.folder.run_file, encode_checked(self.run_file))
        except OSError:
            if not (self._drops and self.folder.reserve.exists()):
                raise


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run begins, and when.

    Attributes:
        environment: contents of environment.json.
        versions: those of the packages that decide results, and of Python.
        changes: what differs from the commit of the repository, if something does.
        began: by default now.
    """

    environment: Mapping[str, object] = {}
    versions: dict[str, str] = {}
    changes: str | None = None
    began: datetime | None = None


def create_run(
    root: Path,
    compiled: Compiled,
    surroundings: Surroundings,
    *,
    run_id: str | None = None,
    version: int | None = None,
    given_state: bool = False,
    learned: Mapping[str, object] | None = None,
    elsewhere: Mapping[str, Path] = {},
) -> Journal:
    """Create the folder of a new run. It appears whole: with run.json, plan and environment.

    `learned` is what the scalers of the plan learned from the rows, if there are some.

    The run's id is the time in UTC, with a suffix where another run began in the same second; its
    version counts the runs of the experiment; both can be given. With `add_timestamp` the experiment
    has the time in its name as well, and so one run. A part of it that lies `elsewhere`, in a folder by
    that name, is a link.

    A folder of the id that was given may be there; what is in it stays.

    Raises:
        RunError: it is a run.
    """
    plan = compiled.plan
    name = _named_experiment(root, plan.experiment)
    experiments = experiment_folder(root, name)
    with locked(experiments):
        now = datetime.now(UTC)
        if run_id is None:
            run_id = free_id(experiments, now)
        elif RunFolder(experiments / run_id).run_file.exists():
            raise RunError(f"there is a run `{experiments / run_id}` already")
        created_at = iso(surroundings.began or now)
        aside = RunFolder(in_the_making(experiments / run_id))
        aside.path.mkdir()
        digests = _write_constants(aside, compiled, surroundings, learned)
        run_file = RunFile(
            run_id=run_id,
            experiment=name,
            version=_next_version(experiments) if version is None else version,
            plan_id=plan.id,
            status=Status.RUNNING,
            created_at=created_at,
            sessions=(_session(created_at),),
            versions=surroundings.versions,
            digests=digests,
            given_state=given_state,
        )
        write_atomically(aside.run_file, encode_checked(run_file))
        write_atomically(aside.reserve, bytes(RESERVE_BYTES))
        for part, place in elsewhere.items():
            target = place.absolute() / name / run_id / part
            target.mkdir(parents=True)
            (aside.path / part).symlink_to(target)
        folder = RunFolder(experiments / run_id)
        _put(aside, folder)
        sync_folder(experiments)
    return Journal(folder, run_file, drops=plan.results.on_error == "drop")


def _named_experiment(root: Path, experiment: Experiment) -> str:
    """The name of the folder of an experiment, which is there then."""
    name = experiment.id
    root.mkdir(parents=True, exist_ok=True)
    if experiment.add_timestamp:
        with locked(root):
            name = f"{name}-{free_id(root, datetime.now(UTC), before=f'{name}-')}"
            experiment_folder(root, name).mkdir()
    experiment_folder(root, name).mkdir(parents=True, exist_ok=True)
    return name


def _write_constants(
    folder: RunFolder,
    compiled: Compiled,
    surroundings: Surroundings,
    learned: Mapping[str, object] | None,
) -> dict[str, str]:
    """Write what never changes; returns the digests by the names of the files."""
    # It needs numpy, which those who only look at runs do not.
    from specplan.store.artifacts import file_digest

    write_spec(compiled, folder.spec_file)
    write_plan(compiled, folder.plan_file)
    write_map(compiled, folder.plan_file)
    _write_warnings(compiled, folder)
    write_atomically(folder.environment_file, encode_checked(surroundings.environment))
    if surroundings.changes is not None:
        write_atomically(folder.changes_file, surroundings.changes.encode())
    if learned:
        write_atomically(folder.scalers_file, msgspec.json.encode(learned))
    return {path.name: file_digest(path) for path in folder.constant_files if path.exists()}


def next_session(folder: RunFolder, run_file: RunFile) -> int:
    """Number of the next session: the records may have one that was killed before run.json had it.

    Raises:
        StoreError: the records cannot be read.
    """
    recorded = (
        StoreReader.open(str(folder.records), check=False).sessions
        if folder.records.exists()
        else []
    )
    known: int = max([run_file.sessions[-1].session, *(entry["session"] for entry in recorded)])
    return known + 1


def continue_run(
    folder: RunFolder,
    run_file: RunFile,
    *,
    session: int,
    versions: Mapping[str, str],
    checkpoint: int | None = None,
    changes: tuple[str, ...] = (),
    drops: bool = False,
) -> Journal:
    """Begin a session of a run that no process writes, from what `run_file` says. run.json has it at once."""
    begun = msgspec.structs.replace(
        _session(timestamp(), number=session),
        checkpoint=checkpoint,
        changes=changes,
    )
    for unfinished in folder.path.glob(f".{folder.run_file.name}.*"):
        unfinished.unlink(missing_ok=True)  # a process was killed as it wrote it
    journal = Journal(folder, run_file, drops=drops)
    journal.continued(begun, versions)
    write_atomically(folder.reserve, bytes(RESERVE_BYTES))
    return journal


def _put(aside: RunFolder, folder: RunFolder) -> None:
    """Give a new run its name; run.json comes last where that is a folder already."""
    if not folder.path.exists():
        aside.path.rename(folder.path)
        return
    files = sorted(aside.path.iterdir(), key=lambda path: path == aside.run_file)
    for path in files:
        path.rename(folder.path / path.name)
    aside.path.rmdir()


def _write_warnings(compiled: Compiled, folder: RunFolder) -> None:
    if compiled.warnings:
        folder.logs.mkdir()
        text = "".join(f"{warning}\n" for warning in compiled.warnings)
        write_atomically(folder.warnings_log, text.encode())


@contextmanager
def locked(path: Path, *, refused: str | None = None) -> Iterator[None]:
    """Hold the lock of a folder or file: one process at a time counts ids and versions from what is there.

    Args:
        path: a folder, or a file that is no link.
        refused: what to say where somebody else holds it; by default it is waited for.

    Raises:
        RunError: somebody else holds it, and that is not waited for.
    """
    # NFS locks only what is opened for writing, which a folder cannot be; a pipe of that name would be waited for.
    file = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else file)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if refused is None else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise RunError(refused) from error
        yield
    finally:
        os.close(descriptor)


def _runs(experiments: Path) -> set[str]:
    return {path.parent.name for path in experiments.glob("[!.]*/run.json")}


def _next_version(experiments: Path) -> int:
    return 1 + len(_runs(experiments)) + removed_runs(experiments)


def removed_runs(experiments: Path) -> int:
    """How many runs of an experiment were removed."""
    path = removed_file(experiments)
    text = path.read_text("ascii", errors="replace") if path.is_file() else ""
    return int(text) if text.isdecimal() else 0


def count_removed(experiments: Path) -> None:
    """Count one more; under the lock of the experiment, before the run goes away."""
    write_atomically(removed_file(experiments), str(removed_runs(experiments) + 1).encode())


def free_id(folder: Path, now: datetime, *, before: str = "") -> str:
    """The time, with a suffix where `folder` has it already behind `before`."""
    second = f"{now:%Y%m%d-%H%M%S}"
    for number in count():
        moment = f"{second}.{number}" if number else second
        if not (folder / f"{before}{moment}").exists():
            return moment
    raise AssertionError


def _session(started_at: str, *, number: int = 1) -> Session:
    return Session(
        session=number,
        pid=os.getpid(),
        host=socket.gethostname(),
        boot_id=boot_id(),
        started_at=started_at,
    )


def timestamp(timespec: str = "milliseconds") -> str:
    """The time in UTC as ISO 8601."""
    return iso(datetime.now(UTC), timespec)


def iso(moment: datetime, timespec: str = "milliseconds") -> str:
    """A time in UTC as ISO 8601."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
