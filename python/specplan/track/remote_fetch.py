"""Taking a run of a server into a folder, so that a program goes on with it there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from specplan.store.artifacts import FOLDER, ArtifactRow, check_name
from specplan.store.fields import ABOUT, ARTIFACT, METRICS
from specplan.store.run_file import Status
from specplan.track.executed import PLAN
from specplan.track.metric_row import MetricRow
from specplan.track.point import Point, Series
from specplan.track.remote_client import experiment_path
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.track.remote_client import Server

ROWS_AT_ONCE = 5000


def fetch_newest(server: Server, experiment: str, root: Path) -> bool:
    """Take the newest run of an experiment below `root`, where it appears whole; says whether there is one.

    Runs of plans are passed over: a program does not go on with them. Of an artifact that was saved again or deleted only the record is taken, and an empty file.

    Raises:
        RemoteError: the server does not answer, or ends in the middle.
    """
    about = _newest(server, experiment)
    if about is None:
        return False
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetched-") as aside:
        run = TrackedRun.start(
            Path(aside),
            experiment,
            run_id=about["run"],
            version=about["version"],
            description=about["readme"],
            tags=about["tags"],
        )
        try:
            _Fetched(server, experiment_path(about["id"]), run).fill(about["records"])
        except BaseException:
            run.end(Status.INTERRUPTED)  # its files are closed before their folder goes
            raise
        run.end(Status(about["status"]) if about["status"] != Status.RUNNING else Status.STOPPED)
        target = root / experiment / about["run"]
        target.parent.mkdir(parents=True, exist_ok=True)
        run.folder.path.rename(target)
    return True


def _newest(server: Server, experiment: str) -> dict[str, Any] | None:
    for found in reversed(server.ask("", prefix=experiment)["experiments"]):
        path = experiment_path(found["id"])
        about: dict[str, Any] = server.ask(path)
        said = ABOUT in about["records"] and server.ask(f"{path}/records", field=ABOUT)["data"]
        if not said or PLAN not in said[-1]:
            return about
    return None


class _Fetched:
    """A run that is filled with what the server has of it."""

    def __init__(self, server: Server, path: str, run: TrackedRun) -> None:
        self._server = server
        self._path = path
        self._run = run

    def fill(self, records: dict[str, dict[str, int]]) -> None:
        self._run.set_params(self._server.ask(f"{self._path}/parameters")["data"])
        for field, nodes in records.items():
            for node in nodes:
                for document in self._pages("records", field=field, node=node):
                    self._record(field, node, document)
        for series, *place in self._pages("points"):
            value, step, epoch, batch, time = place
            point = Point(value=float(value), step=step, epoch=epoch, batch=batch, time=time)
            self._run.record_points(msgspec.convert(series, Series), [point])
        listed = {each["file"]: each for each in self._server.ask(f"{self._path}/files")["files"]}
        for document in self._pages("records", field=ARTIFACT, node=""):
            row = msgspec.convert(document, ArtifactRow)
            check_name(row.file)
            self._take(row, listed.get(row.file))

    def _record(self, field: str, node: str, document: Any) -> None:
        if field == METRICS:
            row = msgspec.convert(document, MetricRow)
            self._run.record_row(row, node=node)
        else:
            self._run.record_document(field, document, node=node)

    def _take(self, row: ArtifactRow, listed: dict[str, Any] | None) -> None:
        target = self._run.folder.artifacts / row.file
        target.parent.mkdir(parents=True, exist_ok=True)
        path = f"{self._path}{experiment_path('files', row.name)}"
        if row.kind == FOLDER:
            target.mkdir()
            for part in listed["parts"] if listed else ():
                check_name(part)
                (target / part).parent.mkdir(parents=True, exist_ok=True)
                self._server.download(f"{path}?part={quote(part)}", target / part)
        elif listed:
            self._server.download(path, target)
        else:
            target.touch()

    def _pages(self, route: str, **query: Any) -> Iterator[Any]:
        start = 0
        while True:
            page = self._server.ask(
                f"{self._path}/{route}", start=start, limit=ROWS_AT_ONCE, **query
            )
            yield from page["data"]
            start += len(page["data"])
            if start >= page["total"] or not page["data"]:
                return
