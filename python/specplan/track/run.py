"""One run that a program of the user's drives: the run model behind every front door that is no spec."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.files import write_atomically
from specplan.base.redaction import redacted
from specplan.errors import RunError
from specplan.plan.model import Results
from specplan.results.artifacts import artifacts_of
from specplan.results.settings import read_params
from specplan.results.status import read_run_file, status_now
from specplan.run.environment import surroundings_of, versions
from specplan.run.git import git_state
from specplan.run.lifetime import end_run, first_recorder
from specplan.run.reported import Reporter
from specplan.run.system_metrics import Sampling
from specplan.store.documents import OBJECT, channel_of, channels_of, documents
from specplan.store.fields import METRICS, PROGRESS
from specplan.store.layout import RunFolder
from specplan.store.recorder import Recorder
from specplan.store.run_file import Status
from specplan.store.run_files import Surroundings, continue_run, create_run, next_session
from specplan.track.columns import Columns
from specplan.track.empty_plan import empty_plan
from specplan.track.metric_row import row_without_numbers
from specplan.track.names import check_experiment, check_run
from specplan.track.plain import encode, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from specplan.results.artifacts import Artifacts
    from specplan.store.artifacts import ArtifactRow
    from specplan.store.run_file import ErrorRecord, RunFile
    from specplan.store.run_files import Journal
    from specplan.track.metric_row import MetricRow
    from specplan.track.point import Point, Series


class TrackedRun:
    """A run folder that is written to call by call. Safe to call from several threads.

    The plan of one that `start` or `go_on` begins has no phases: what is done, and in which order, only the
    program knows. Metrics, params and artifacts are where those of every run are, so the same commands
    read them.

    Args:
        journal: of the run, which has begun.
        recorder: writes its records.
        params: what was said of it before.
    """

    def __init__(self, journal: Journal, recorder: Recorder, params: Mapping[str, Any]) -> None:
        self._journal = journal
        self._recorder = recorder
        self._params = dict(params)
        self._columns = Columns(
            recorder, journal.folder, goes_on=len(journal.run_file.sessions) > 1
        )
        self._lock = threading.Lock()
        self._ending = threading.Lock()
        self._sampling: Sampling | None = None
        self._ended = False
        self._reporter = Reporter(lambda text: self.record_text(PROGRESS, text))

    @classmethod
    def start(
        cls,
        root: Path,
        experiment: str,
        *,
        run_id: str | None = None,
        version: int | None = None,
        began: datetime | None = None,
        description: str = "",
        tags: Mapping[str, str | None] | None = None,
        surroundings: Mapping[str, Any] | None = None,
    ) -> TrackedRun:
        """Create the folder of a new run, `<root>/<experiment>/<run>`.

        Args:
            root: folder of all runs.
            experiment: its name, of one or more parts divided by `/`.
            run_id: name of the run's folder; by default the time in UTC.
            version: number of the run; by default one more than there are.
            began: when; by default now.
            description: what the run is for.
            tags: words to find it by, with values where they have some.
            surroundings: where it is run, as environment.json has it; by default here.

        Raises:
            ValueError: a name leaves the folder.
            RunError: there is a run of that id.
            StoreError: the records cannot be written.
        """
        check_experiment(experiment)
        if run_id is not None:
            check_run(run_id)
        if surroundings is None:
            around = surroundings_of(git_state(Path(), without=[root]))
        else:
            around = Surroundings(environment=redacted(surroundings), versions=versions())
        journal = create_run(
            root,
            empty_plan(experiment, description, tags or {}),
            msgspec.structs.replace(around, began=began),
            run_id=run_id,
            version=version,
        )
        recorder = first_recorder(journal, Results())
        run = cls(journal, recorder, read_params(journal.folder))
        run._reporter.open()
        return run

    @classmethod
    def start_in(
        cls, path: Path, *, description: str = "", tags: Mapping[str, str | None] | None = None
    ) -> TrackedRun:
        """Create a run in the folder `path`, or begin the next session of the one that is there.

        The experiment has the name of the folder around it. Files that are there stay; of a run that is
        there, `description` and `tags` do, too.

        Raises:
            RunError: the run is damaged, or another process writes it.
            StoreError: the records cannot be written.
        """
        path = path.resolve()
        folder = RunFolder(path)
        if not folder.run_file.exists():
            return cls.start(
                path.parent.parent,
                path.parent.name,
                run_id=path.name,
                description=description,
                tags=tags,
            )
        return cls.go_on(folder)

    @classmethod
    def go_on(cls, folder: RunFolder) -> TrackedRun:
        """Begin the next session of a run. Its metrics and params stay.

        Raises:
            RunError: the run is damaged, or another process writes it.
            StoreError: the records cannot be written.
        """
        run_file = read_run_file(folder)
        if status_now(run_file) is Status.RUNNING:
            pid = run_file.sessions[-1].pid
            raise RunError(f"run `{folder.path}` is written by process {pid}")
        params = read_params(folder)
        cut = row_without_numbers(folder)
        session = next_session(folder, run_file)
        recorder = Recorder(folder, run_file.run_id, results=Results(), session=session)
        journal = continue_run(folder, run_file, session=session, versions=versions())
        run = cls(journal, recorder, params)
        if cut is not None:
            run._columns.log_numbers(*cut)
        run._reporter.open()
        return run

    @property
    def folder(self) -> RunFolder:
        """The paths of the run."""
        return self._journal.folder

    @property
    def run_file(self) -> RunFile:
        """All of run.json, as it was last written."""
        return self._journal.run_file

    @property
    def id(self) -> str:
        """The run's id."""
        return self._journal.run_file.run_id

    @property
    def version(self) -> int:
        """1 for the first run of the experiment, and so on."""
        return self._journal.run_file.version

    @property
    def status(self) -> Status:
        """How the run stands."""
        return self._journal.run_file.status

    @property
    def params(self) -> dict[str, Any]:
        """What `set_params` was told so far."""
        return dict(self._params)

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Add params to those of the run, on file; one that is there is replaced.

        Raises:
            TypeError: a value is none that JSON holds.
            RunError: the run is over.
        """
        added = plain(params, "params")
        with self._lock:
            self._check_open()
            self._params |= added
            write_atomically(self.folder.params_file, encode(redacted(self._params)))

    def log_metrics(
        self,
        metrics: Mapping[str, float],
        *,
        step: int | None = None,
        epoch: int | None = None,
        split: str | None = None,
        time: int | None = None,
    ) -> int:
        """Record one value of each metric, and return the step. NaN and infinity are values.

        Args:
            metrics: numbers by name.
            step: by default the one after the greatest of these metrics so far; the first is 0.
            epoch: the epoch that they belong to, if any.
            split: the rows that they were measured on, if any.
            time: when that was, in nanoseconds since 1970; by default now.

        Raises:
            TypeError: a value is no number.
            RunError: the run is over.
            StoreError: the records cannot be written.
        """
        with self._lock:
            self._check_open()
            return self._columns.metrics.log(
                metrics, step=step, epoch=epoch, split=split, time=time
            )

    def record_row(self, row: MetricRow, *, node: str) -> None:
        """Record a row of metrics under a name, and its numbers in the table of metrics with it as split.

        A process that is killed in between leaves a row without numbers; `go_on` adds them.

        Args:
            row: what was logged at once.
            node: the name; empty for the rows without one.

        Raises:
            RunError: the run is over.
            StoreError: the records cannot be written.
        """
        text, numbers = msgspec.json.encode(row.without_secrets()).decode(), row.numbers
        created = row.created  # before anything is recorded: it may be no time
        with self._lock:
            self._check_open()
            self._columns.log_text(METRICS, node, text)
            self._columns.log_numbers(node, row.index, numbers, created)

    def log_artifact(self, name: str, value: Any, *, step: int | None = None) -> ArtifactRow:
        """Keep a file, a folder or an object below `artifacts/`; returns what is recorded of it.

        Raises:
            TypeError: the value could only be pickled.
            ValueError: the name leaves the folder.
            FileNotFoundError: there is nothing at the path.
            RunError: the run is over.
        """
        self._check_open()
        row = self._recorder.artifact(name, value, step=step)
        assert row is not None, "a tracked run drops nothing"
        return row

    def sample_system(self, seconds: float) -> None:
        """Sample processor, memory, disk, network and GPU from now on, as metrics with names `system/...`.

        Args:
            seconds: between two samples. A second call changes nothing.

        Raises:
            RunError: the run is over.
        """
        with self._lock:
            self._check_open()
            if self._sampling is None:
                self._sampling = Sampling(self._recorder, self.folder.path, seconds)

    def progress(self, value: float, level: int = 0, desc: str | None = None) -> None:
        """Say how far the program is, from 0 to 1; `level` 1 and so on are loops inside.

        Raises:
            ValueError: the value is no number, or the level is negative.
            RunError: the run is over.
        """
        self._reporter.report(value, level, desc)

    def record_document(self, field: str, document: Any, *, node: str = "") -> None:
        """Record what a program says, without secrets, under a field and a name below it.

        Raises:
            RunError: the run is over.
            StoreError: the records cannot be written.
        """
        self.record_text(field, msgspec.json.encode(redacted(document)).decode(), node=node)

    def record_text(self, field: str, text: str, *, node: str = "") -> None:
        """Record a JSON document of our own, as it is, under a field, and under a name below it.

        Raises:
            RunError: the run is over.
            StoreError: the records cannot be written.
        """
        with self._lock:
            self._check_open()
            self._columns.log_text(field, node, text)

    def count(self, field: str, *, node: str = "") -> int:
        """How many documents were recorded under a field and a name below it, in all sessions."""
        with self._lock:
            return self._columns.count(field, node)

    def record_points(self, series: Series, points: Sequence[Point]) -> None:
        """Record values of one series, each at its place.

        Raises:
            RunError: the run is over.
            StoreError: the records cannot be written.
        """
        with self._lock:
            self._check_open()
            self._columns.log_points(series, points)

    def documents(
        self,
        field: str,
        kind: Any = OBJECT,
        *,
        node: str = "",
        first: int = 0,
        most: int | None = None,
    ) -> list[Any]:
        """What was recorded under a field, oldest first, of earlier sessions as well.

        Args:
            field: name of the field.
            kind: what each document is.
            node: name below it.
            first: place of the first that is wanted.
            most: how many are wanted; by default all.

        Raises:
            StoreError: a document is damaged, or of another kind.
        """
        channel = channel_of(self._columns.reader(), field, node)
        return documents(channel, kind, first=first, most=most)

    def text_nodes(self, field: str) -> list[str]:
        """The names under which something was recorded of a field, in the order of the first of each."""
        return [channel.node for channel in channels_of(self._columns.reader(), field)]

    def artifacts(self) -> Artifacts:
        """The artifacts that were logged, of each name the newest."""
        return artifacts_of(self.folder, self._columns.reader())

    def sync(self) -> None:
        """Wait until everything that was recorded is on file."""
        self._recorder.sync()

    def end(
        self,
        status: Status = Status.COMPLETED,
        error: BaseException | ErrorRecord | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        """Close the records and say how the run ended, now or `at` a time before. A second call does nothing.

        Raises:
            StoreError: records could not be written, as where the disk is full, and there is no exception
                that could tell of it; the run has failed.
        """
        recorder = self._recorder
        with self._ending:
            if not self._ended:
                closing = (
                    self._reporter.close,
                    self._close,
                    recorder.close,
                    recorder.export_metrics,
                )
                counted = recorder.statistics
                end_run(self._journal, status, error, writes=closing, statistics=counted, at=at)

    def leave(self) -> None:
        """Take nothing more: the run is of somebody else, who ends it."""
        with self._lock:
            self._ended = True

    def _close(self) -> None:
        self.leave()
        if self._sampling is not None:
            self._sampling.close()

    def _check_open(self) -> None:
        if self._ended:
            raise RunError(f"run `{self.id}` is over: it is {self.status}")
