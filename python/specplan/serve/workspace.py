"""The runs below the root of a server, those that are written open."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from specplan._native import StoreReader
from specplan.errors import PlanError, RunError, SpecplanError, StoreError
from specplan.results.locate import all_runs, runs_of
from specplan.results.open import Run
from specplan.results.status import read_run_file, status_now
from specplan.serve.faults import Fault
from specplan.serve.received import Received
from specplan.store.layout import RunFolder, experiment_folder
from specplan.store.run_file import Status
from specplan.store.tags import set_tags
from specplan.track.empty_plan import is_of_plan
from specplan.track.names import check_experiment, check_run
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from specplan.results.index import Index
    from specplan.serve.protocol import Begin
    from specplan.store.run_file import ErrorRecord
    from specplan.store.tags import Tags

QUIET_SECONDS = 600.0
"""After this long without a request a run counts as interrupted; the next request goes on with it."""
MOST_READERS = 32
_LOG = logging.getLogger(__name__)


class Workspace:
    """Runs that clients write and read, by their ids. Safe to use from several threads.

    Args:
        root: folder of all runs.

    Attributes:
        index: what was found out of the runs, for the next one who lists them.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root.resolve()
        self._open: dict[str, Received] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._readers: dict[tuple[Path, int], StoreReader] = {}
        self._reading = threading.Lock()
        self.index: Index | None = None

    def ids(self, prefix: str | None) -> list[str]:
        """The ids of the runs of one experiment, or of all, oldest first."""
        if prefix is not None:
            return [self.id_of(folder) for folder in runs_of(self._experiment(prefix))]
        return [self.id_of(folder) for folder in all_runs(self.root, self._tell_once)]

    def _tell_once(self, unreadable: RunError) -> None:
        if str(unreadable) not in self._told:
            self._told.add(str(unreadable))
            _LOG.warning("%s", unreadable)

    def records(self, folder: RunFolder) -> StoreReader:
        """What is on file of a run now.

        Readers are kept, the last ones that were used: to find out where millions of rows stand takes a second.

        Raises:
            StoreError: the records are damaged, or not there.
        """
        place = (folder.path, folder.records.stat().st_ino if folder.records.exists() else 0)
        with self._reading:
            reader = self._readers.pop(place, None)
            try:
                if reader is not None:
                    reader.refresh()
            except StoreError:
                reader = None  # what was cut off is gone: another look tells
            reader = reader or StoreReader.open(str(folder.records))
            self._readers[place] = reader
            while len(self._readers) > MOST_READERS:
                del self._readers[next(iter(self._readers))]
            return reader

    def opened(self, id_: str) -> Run:
        """A run, to be shown.

        Raises:
            Fault: there is no such run.
            StoreError: its records are damaged.
        """
        folder = self.folder(id_)
        return Run(folder, self.records(folder) if folder.records.is_dir() else None)

    def begin(self, asked: Begin) -> tuple[str, bool]:
        """Go on with a run, or create it; returns its id, and whether it is new."""
        experiment = self._experiment(asked.prefix)
        if asked.run is not None:
            _check(check_run, asked.run)
        with self._locked(asked.prefix):
            runs = list(runs_of(experiment))
            if asked.run is not None:
                folder = RunFolder(experiment / asked.run)
            elif runs:
                folder = runs[-1]
            else:
                return self._create(asked), True
            if not folder.run_file.is_file():
                return self._create(asked), True
        with self.writing(id_ := self.id_of(folder)):
            return id_, False

    @contextmanager
    def writing(self, id_: str) -> Iterator[Received]:
        """A run that is written to, by nobody else meanwhile. One that was over goes on.

        Raises:
            Fault: there is no such run, or another process writes it.
        """
        folder = self.folder(id_)
        with self._locked(id_):
            if id_ not in self._open:
                _check_no_plan(folder)
                try:
                    self._open[id_] = Received(TrackedRun.go_on(folder))
                except RunError as error:
                    raise Fault(409, str(error)) from error
            run = self._open[id_]
            run.used = time.monotonic()
            yield run

    def set_tags(self, id_: str, tags: Tags) -> Tags:
        """Put tags in the place of those of a run, which does not go on for that.

        Raises:
            Fault: there is no such run, or it is that of a plan.
        """
        folder = self.folder(id_)
        with self._locked(id_):
            _check_no_plan(folder)
            return set_tags(folder, tags)

    def end(
        self,
        id_: str,
        status: Status,
        error: ErrorRecord | None = None,
        at: datetime | None = None,
    ) -> None:
        """End a run, or say of one that is over how it ended. One that already says so stays as it is.

        Args:
            id_: of the run.
            status: how it ended.
            error: what ended it.
            at: when it ended; by default now.
        """
        folder = self.folder(id_)
        with self._locked(id_):
            if id_ not in self._open and status_now(read_run_file(folder)) is status:
                return
            with self.writing(id_) as run:
                del self._open[id_]  # whatever comes of it, nothing more can be added to this one
                run.run.end(status, error, at=at)

    def end_quiet(self, seconds: float = QUIET_SECONDS) -> None:
        """End the runs for which no request has come for so long: they are interrupted.

        One that cannot be ended, on a full disk or because its folder is gone, is told in the log.
        """
        for id_, run in list(self._open.items()):
            with self._locked(id_):
                if id_ in self._open and time.monotonic() - run.used >= seconds:
                    del self._open[id_]
                    try:
                        run.run.end(Status.INTERRUPTED)
                    except (SpecplanError, OSError) as error:
                        _LOG.warning("run `%s` could not be ended: %s", run.run.folder.path, error)

    def folder(self, id_: str) -> RunFolder:
        """The folder of a run.

        Raises:
            Fault: there is no such run.
        """
        try:
            name = base64.urlsafe_b64decode(id_.encode() + b"==").decode()
            experiment, _, run = name.rpartition("/")
            check_experiment(experiment)
            check_run(run)
            folder = RunFolder(self._experiment(experiment) / run)
        except (binascii.Error, ValueError):
            raise Fault(404, "there is no run of this id") from None
        if not self._is_inside(folder.path) or not folder.run_file.is_file():
            raise Fault(404, "there is no run of this id")
        return folder

    def _create(self, asked: Begin) -> str:
        others = runs_of(self._experiment(asked.prefix))
        is_taken = any(read_run_file(each).version == asked.version for each in others)
        run = TrackedRun.start(
            self.root,
            asked.prefix,
            run_id=asked.run,
            version=None if is_taken else asked.version,
            began=asked.began,
            description=asked.readme,
            tags=asked.tags,
            # The file has a key, also of a client that says nothing of where it is.
            surroundings=asked.environment or {"versions": {}},
        )
        id_ = self.id_of(run.folder)
        with self._locked(id_):
            self._open[id_] = Received(run)
        return id_

    def _experiment(self, prefix: str) -> Path:
        """The folder of an experiment, which is below the root, not behind a link, and in no run.

        Raises:
            Fault: it cannot have that name.
        """
        _check(check_experiment, prefix)
        folder = experiment_folder(self.root, prefix)
        if not self._is_inside(folder):
            raise Fault(400, f"{prefix!r} leaves the folder of the server")
        around = [folder, *folder.parents][: prefix.count("/") + 1]
        if any(RunFolder(each).run_file.exists() for each in around):
            raise Fault(400, f"{prefix!r} is in the folder of a run")
        return folder

    def _is_inside(self, path: Path) -> bool:
        return path.resolve() == path

    def is_own(self, folder: RunFolder) -> bool:
        """Whether a run lies below the root, and not behind a link."""
        return self._is_inside(folder.path)

    def id_of(self, folder: RunFolder) -> str:
        """The id of a run."""
        name = folder.path.relative_to(self.root).as_posix()
        return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(name, threading.RLock())
        with lock:
            yield


def _check_no_plan(folder: RunFolder) -> None:
    try:
        is_one = is_of_plan(folder)
    except PlanError as error:
        raise Fault(409, str(error)) from error
    if is_one:
        raise Fault(409, "it is the run of a plan, which no program adds to")


def _check(check: Callable[[str], None], name: str) -> None:
    try:
        check(name)
    except ValueError as error:
        raise Fault(400, str(error)) from error
