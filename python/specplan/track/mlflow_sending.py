"""Sending to MLflow what it lacks of a run folder."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RemoteError, SpecplanError
from specplan.results.open import open_run
from specplan.store.fields import MLFLOW
from specplan.store.run_file import Status
from specplan.track.entries import Entry, File, Metric, Param
from specplan.track.mlflow_client import (
    RUN_TAG,
    STATUSES,
    connected,
    fitting_tags,
    refusal,
    send,
    stored,
    why_not,
    without_password,
)
from specplan.track.portable import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from specplan.store.layout import RunFolder
    from specplan.track.portable import Portable

_DESCRIPTION = "mlflow.note.content"
_MILLISECOND = 1_000_000
Value = tuple[str, int, str]
"""Name, step and value of a metric; NaN is the same as itself where it is a text."""


class _Note(msgspec.Struct):
    """Where a run is in MLflow."""

    run_id: str


class There(msgspec.Struct, kw_only=True):
    """What MLflow has of a run.

    Attributes:
        run_id: MLflow's; None where it does not know the run.
        rows: of the table of metrics, which it has all; metrics: how often it has each value of the others.
        sizes: of the artifacts that it had when it was asked; None where it was not. files: those that were sent.
    """

    run_id: str | None = None
    name: str = ""
    status: str = ""
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    metrics: Counter[Value] = msgspec.field(default_factory=Counter)
    rows: int = 0
    sizes: dict[str, int] | None = None
    files: set[Path] = set()


class MlflowSending:
    """Sends what MLflow lacks of a run, each time that it is asked to. For one thread at a time.

    Nothing is kept of what was sent: MLflow is asked what it has, the first time and after each failure.

    Args:
        folder: of the run.
        uri: where MLflow keeps its runs.
        tell: is told once of everything that MLflow cannot hold.

    Attributes:
        sent: how many entries of each kind so far.

    Raises:
        RunError: mlflow is not installed.
    """

    def __init__(self, folder: RunFolder, uri: str, tell: Callable[[str], None]) -> None:
        self._folder, self._uri, self._tell = folder, uri, tell
        self._told: set[str] = set()
        run = open_run(folder.path)
        self._experiment = run.experiment
        self._key = f"{run.experiment}/{run.id}@{run.run_file.created_at}"
        self._client = connected(uri)
        self._there = There()
        self._is_asked = False
        self.sent: Counter[type[Entry]] = Counter()

    @property
    def place(self) -> str:
        """Where it goes, as `mlx sync --to` takes it."""
        return f"mlflow:{without_password(self._uri)}"

    def reach(self) -> None:
        """Ask for something small.

        Raises:
            RemoteError: MLflow does not answer.
        """
        with self._refusals():
            self._client.get_experiment_by_name(self._experiment)

    def send(self) -> None:
        """Send everything that is committed and that MLflow lacks.

        Raises:
            RemoteError: MLflow does not answer, or refuses. Asked again, the rest is sent.
        """
        with self._refusals():
            self._ask()
            found = self._found()
            if self._there.run_id is None:
                self._create(found)
            self._is_asked = False  # where something fails, nobody knows how far it got
            self._send(self._lacking_values(found))
            self._is_asked = True
            rows = self._there.rows + sum(map(len, found.series.values()))
            self._there = msgspec.structs.replace(self._there, rows=rows, metrics=Counter())
            # They come last and alone: artifacts may be at a place that does not answer where MLflow does.
            self._ask_files(found)
            self._send(self._lacking_files(found))
            self._there.files.update(file.path for file in found.files)

    def send_status(self) -> None:
        """Say how the run stands, with its tags. It comes last: a run that was cut off is one that goes on.

        Raises:
            RemoteError: MLflow does not answer, or refuses.
        """
        with self._refusals():
            self._ask()
            found, there = self._found(), self._there
            if there.run_id is None:
                self._create(found)
            for name, value in self._tags(found).items():
                if there.tags.get(name) != value:
                    self._client.set_tag(there.run_id, name, value)
                    there.tags[name] = value
            status = STATUSES.get(found.status, "KILLED")
            if there.status == status:
                return
            if found.status in (Status.CREATED, Status.RUNNING):
                self._client.update_run(there.run_id, status=status)
            else:
                ended = found.ended_at
                moment = None if ended is None else ended // _MILLISECOND
                self._client.set_terminated(there.run_id, status, moment)
            there.status = status

    def look(self) -> Counter[type[Entry]]:
        """How many entries of each kind `send` would send now. Nothing is changed.

        Raises:
            RemoteError: MLflow does not answer.
        """
        with self._refusals():
            self._ask()
            found = self._found()
            self._ask_files(found)
            return self._count(found)

    def unsent(self) -> int:
        """How many entries MLflow is not known to have; any thread may ask."""
        return self._count(self._found()).total()

    def close(self) -> None:
        """Nothing is open."""

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except SpecplanError:
            raise
        except Exception as error:
            raise RemoteError(refusal(self._uri, error)) from error

    def _found(self) -> Portable:
        return portable(open_run(self._folder.path), self._there.rows)

    def _ask(self) -> None:
        """Ask what MLflow has of the run, unless that is known."""
        if self._is_asked:
            return
        run = self._run_there()
        if run is not None:
            run_id = run.info.run_id
            self._there = There(
                run_id=run_id,
                name=run.info.run_name,
                status=run.info.status,
                tags=dict(run.data.tags),
                params=dict(run.data.params),
                metrics=Counter(
                    (name, each.step, repr(each.value))
                    for name in run.data.metrics
                    for each in self._client.get_metric_history(run_id, name)
                ),
            )
        self._is_asked = True

    def _ask_files(self, found: Portable) -> None:
        """Ask which artifacts MLflow has, where there are some and that is not known."""
        there = self._there
        if found.files and there.run_id is not None and there.sizes is None:
            there.sizes = dict(_sizes(self._client, there.run_id))

    def _send(self, lacking: Sequence[Entry]) -> None:
        for entries in send(self._client, self._there.run_id, lacking):
            _add(self._there, entries)
            self.sent.update(type(entry) for entry in entries)

    def _run_there(self) -> Any:
        """The run in MLflow; None where there is none."""
        import mlflow

        for note in open_run(self._folder.path).documents(MLFLOW, kind=_Note):
            try:
                return self._client.get_run(note.run_id)
            except mlflow.MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                # It was noted of another MLflow.
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            return None
        key = self._key.replace("'", "\\'")
        found = self._client.search_runs(
            [experiment.experiment_id], filter_string=f"tags.`{RUN_TAG}` = '{key}'"
        )
        return found[0] if found else None

    def _create(self, found: Portable) -> None:
        experiment = self._client.get_experiment_by_name(found.experiment)
        experiment_id = (
            self._client.create_experiment(found.experiment)
            if experiment is None
            else experiment.experiment_id
        )
        tags = self._tags(found)
        run = self._client.create_run(
            experiment_id,
            start_time=(found.started_at or 0) // _MILLISECOND,
            tags=tags,
            run_name=found.name,
        )
        self._there = There(run_id=run.info.run_id, status=run.info.status, tags=tags)

    def _tags(self, found: Portable) -> dict[str, str]:
        tags: dict[str, str | None] = {RUN_TAG: self._key, **found.tags}
        # A tracker describes a run by its name where nobody describes it; MLflow has that already.
        if found.description and found.description != self._there.name:
            tags[_DESCRIPTION] = found.description
        fitting, refused = fitting_tags(tags)
        self._remark(*refused)
        return fitting

    def _count(self, found: Portable) -> Counter[type[Entry]]:
        """How many entries of each kind MLflow is not known to have."""
        self._tags(found)  # which tells what of them it cannot hold
        lacking = [*self._lacking_values(found), *self._lacking_files(found)]
        return Counter(type(entry) for entry in lacking)

    def _lacking_values(self, found: Portable) -> list[Param | Metric]:
        params = [Param(name, str(value)) for name, value in found.params.items()]
        counts = Counter(self._there.metrics)
        return [
            *(each for each in params if self._is_held(each) and not self._has_param(each)),
            *(
                each
                for each in _metrics_of(found)
                if self._is_held(each) and not _has_metric(counts, each)
            ),
        ]

    def _lacking_files(self, found: Portable) -> list[File]:
        self._remark(*found.remarks)
        there = self._there
        return [
            each
            for file in found.files
            if file.path not in there.files
            for each in self._files_of(file)
            if not _has_file(there, each)
        ]

    def _is_held(self, entry: Metric | Param) -> bool:
        reason = why_not(entry)
        if reason is not None:
            self._remark(reason)
        return reason is None

    def _has_param(self, param: Param) -> bool:
        before = self._there.params.get(param.name)
        if before is not None and before != param.value:
            self._remark(f"MLflow keeps the first value of the param `{param.name}`, `{before}`")
        return before is not None

    def _files_of(self, file: File) -> Iterator[File]:
        if not file.path.exists():
            self._remark(f"the file of the artifact `{file.name}` is gone")
        elif not file.path.is_dir():
            yield file
        else:
            for path in sorted(file.path.rglob("*")):
                if path.is_file():
                    name = f"{file.name}/{path.relative_to(file.path).as_posix()}"
                    yield File(name, path, file.version)

    def _remark(self, *reasons: str) -> None:
        for reason in reasons:
            if reason not in self._told:
                self._told.add(reason)
                self._tell(reason)


def _metrics_of(found: Portable) -> Iterable[Metric]:
    """The values of metrics; one that was measured twice in a millisecond counts once, as in MLflow."""
    metrics = (
        Metric(series.name, point.value, point.step, (point.time or 0) // _MILLISECOND)
        for series, points in found.series.items()
        for point in points
    )
    return {(each.name, each.step, repr(each.value), each.time): each for each in metrics}.values()


def _add(there: There, entries: Sequence[Entry]) -> None:
    """Note that MLflow has some more."""
    for entry in entries:
        if isinstance(entry, Param):
            there.params[entry.name] = entry.value
        elif isinstance(entry, Metric):
            there.metrics[entry.name, entry.step, repr(entry.value)] += 1
        else:
            there.files.add(entry.path)


def _has_metric(counts: Counter[Value], metric: Metric) -> bool:
    """Whether MLflow has one more of these values than were asked for before."""
    key = (metric.name, metric.step, repr(stored(metric.value)))
    if counts[key] == 0:
        key = (metric.name, metric.step, repr(metric.value))
    if counts[key] == 0:
        return False
    counts[key] -= 1
    return True


def _has_file(there: There, file: File) -> bool:
    """A name that was saved again has another file than the one that is there, perhaps of its size."""
    if file.path in there.files:
        return True
    size = (there.sizes or {}).get(file.name)
    return file.version == 1 and size == file.path.stat().st_size


def _sizes(client: Any, run_id: str, folder: str | None = None) -> Iterator[tuple[str, int]]:
    for each in client.list_artifacts(run_id, folder):
        if each.is_dir:
            yield from _sizes(client, run_id, each.path)
        else:
            yield each.path, each.file_size
