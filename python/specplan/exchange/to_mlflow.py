"""A run as MLflow keeps it. What MLflow has already is asked of it, and not sent again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RunError
from specplan.exchange.outcome import Outcome
from specplan.exchange.portable import portable
from specplan.store.fields import MLFLOW
from specplan.store.run_file import Status
from specplan.store.run_files import locked
from specplan.track.entries import Entry, File, Metric, Param
from specplan.track.mlflow_client import (
    RUN_TAG,
    STATUSES,
    connected,
    fitting_tags,
    impatient,
    refusal,
    send,
    stored,
    why_not,
    without_password,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.results.open import Run

_DESCRIPTION = "mlflow.note.content"
_MILLISECOND = 1_000_000


def send_to_mlflow(run: Run, uri: str, *, dry_run: bool = False) -> Outcome:
    """Send what MLflow at `uri` does not have of a run. A second time there is nothing left.

    Raises:
        RunError: MLflow is not installed, does not answer, or refuses something.
    """
    client = connected(uri)
    try:
        with impatient():
            client.get_experiment_by_name(run.experiment)  # a server that is not there is told soon
        with locked(run.folder.path):
            return _Sending(client, run).do(uri, dry_run=dry_run)
    except (RunError, OSError):
        raise
    except Exception as error:
        raise RunError(refusal(uri, error)) from error


class _Note(msgspec.Struct):
    run_id: str


class _Sending:
    """One run on its way to MLflow."""

    def __init__(self, client: Any, run: Run) -> None:
        self._client = client
        self._run = run
        self._found = portable(run)
        self._artifacts = run.artifacts
        self._key = f"{run.experiment}/{run.id}@{run.run_file.created_at}"
        tags: dict[str, str | None] = {RUN_TAG: self._key, **self._found.tags}
        if self._found.description:
            tags[_DESCRIPTION] = self._found.description
        self._tags, refused = fitting_tags(tags)
        self._refused = [*refused, *self._found.remarks]

    def do(self, uri: str, *, dry_run: bool) -> Outcome:
        there = self._there()
        entries = [entry for entry in self._entries() if self._is_held(entry)]
        if there is not None:
            entries = self._missing(there, entries)
        if not dry_run:
            run_id = self._create() if there is None else there.info.run_id
            send(self._client, run_id, entries)
            self._finish(run_id, there)
        return Outcome(
            run=f"{self._run.experiment}/{self._run.id}",
            to=f"mlflow:{without_password(uri)}",
            params=sum(isinstance(entry, Param) for entry in entries),
            metrics=sum(isinstance(entry, Metric) for entry in entries),
            artifacts=sum(isinstance(entry, File) for entry in entries),
            refused=tuple(self._refused),
        )

    def _there(self) -> Any:
        """The run in MLflow; None where there is none."""
        import mlflow

        for noted in _notes(self._run):
            try:
                return self._client.get_run(noted)
            except mlflow.MlflowException:
                continue  # it was noted of another MLflow
        experiment = self._client.get_experiment_by_name(self._found.experiment)
        if experiment is None:
            return None
        key = self._key.replace("'", "\\'")
        found = self._client.search_runs(
            [experiment.experiment_id], filter_string=f"tags.`{RUN_TAG}` = '{key}'"
        )
        return found[0] if found else None

    def _entries(self) -> Iterator[Entry]:
        for name, value in self._found.params.items():
            yield Param(name, str(value))
        for series, points in self._found.series.items():
            yield from dict.fromkeys(
                Metric(series.name, point.value, point.step, (point.time or 0) // _MILLISECOND)
                for point in points
            )
        for file in self._found.files:
            yield from _files_of(file)

    def _is_held(self, entry: Entry) -> bool:
        reason = None if isinstance(entry, File) else why_not(entry)
        if reason is not None and reason not in self._refused:
            self._refused.append(reason)
        return reason is None

    def _missing(self, there: Any, entries: Sequence[Entry]) -> list[Entry]:
        run_id = there.info.run_id
        counts = Counter(
            (name, each.step, repr(each.value))
            for name in there.data.metrics
            for each in self._client.get_metric_history(run_id, name)
        )
        sizes = dict(_sizes(self._client, run_id))
        return [
            entry
            for entry in entries
            if not (
                self._has_param(there, entry)
                if isinstance(entry, Param)
                else _has_metric(counts, entry)
                if isinstance(entry, Metric)
                else self._has_file(sizes, entry)
            )
        ]

    def _has_param(self, there: Any, param: Param) -> bool:
        before = there.data.params.get(param.name)
        if before is not None and before != param.value:
            self._refused.append(
                f"MLflow keeps the first value of the param `{param.name}`, `{before}`"
            )
        return before is not None

    def _has_file(self, sizes: dict[str, int], file: File) -> bool:
        """A name that was saved again has another file than the one that is there, perhaps of its size."""
        owner = next(name for name in self._artifacts if (file.name + "/").startswith(name + "/"))
        is_first = len(self._artifacts.versions(owner)) == 1
        return is_first and sizes.get(file.name) == file.path.stat().st_size

    def _create(self) -> str:
        experiment = self._client.get_experiment_by_name(self._found.experiment)
        experiment_id = (
            self._client.create_experiment(self._found.experiment)
            if experiment is None
            else experiment.experiment_id
        )
        started = self._found.started_at or 0
        run = self._client.create_run(
            experiment_id,
            start_time=started // _MILLISECOND,
            tags=self._tags,
            run_name=self._found.name,
        )
        return str(run.info.run_id)

    def _finish(self, run_id: str, there: Any) -> None:
        """Tags and status, which come last: a run that was cut off is one that goes on."""
        for name, value in self._tags.items():
            if there is not None and there.data.tags.get(name) != value:
                self._client.set_tag(run_id, name, value)
        status = STATUSES.get(self._found.status, "KILLED")
        if there is not None and there.info.status == status:
            return
        if self._found.status in (Status.CREATED, Status.RUNNING):
            self._client.update_run(run_id, status=status)
        else:
            ended = self._found.ended_at
            moment = None if ended is None else ended // _MILLISECOND
            self._client.set_terminated(run_id, status, moment)


def _notes(run: Run) -> list[str]:
    """The runs in MLflow that a tracker noted while it wrote this one."""
    return [note.run_id for note in run.documents(MLFLOW, kind=_Note)]


def _has_metric(counts: Counter[tuple[str, int, str]], metric: Metric) -> bool:
    """Whether MLflow has one more of these values than were asked for before."""
    key = (metric.name, metric.step, repr(stored(metric.value)))
    if counts[key] == 0:
        key = (metric.name, metric.step, repr(metric.value))
    if counts[key] == 0:
        return False
    counts[key] -= 1
    return True


def _files_of(file: File) -> Iterator[File]:
    if not file.path.is_dir():
        yield file
        return
    for path in sorted(file.path.rglob("*")):
        if path.is_file():
            yield File(f"{file.name}/{path.relative_to(file.path).as_posix()}", path)


def _sizes(client: Any, run_id: str, folder: str | None = None) -> Iterator[tuple[str, int]]:
    for each in client.list_artifacts(run_id, folder):
        if each.is_dir:
            yield from _sizes(client, run_id, each.path)
        else:
            yield each.path, each.file_size
