"""Sending to a server what it lacks of a run folder."""

from __future__ import annotations

from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from specplan._native import StoreReader
from specplan.errors import RemoteError
from specplan.plan.canonical import read_plan
from specplan.results.artifacts import artifact_rows
from specplan.results.settings import read_environment, settings
from specplan.results.status import read_run_file, status_now
from specplan.store.artifacts import FOLDER, file_digest, files_below, leaves
from specplan.store.documents import texts
from specplan.store.fields import ARTIFACT, LOG, METRICS, TRACKS
from specplan.store.layout import RunFolder
from specplan.store.tags import read_tags
from specplan.track.point import Series
from specplan.track.points import points_of
from specplan.track.remote_client import PIECE, Server, client_token, experiment_path

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from specplan._native import TextReader
    from specplan.store.artifacts import ArtifactRow
    from specplan.store.tags import Tags

Item = TypeVar("Item")
ROWS_AT_ONCE = 1000
BYTES_AT_ONCE = 4 << 20
"""What one request holds at most: rows, and bytes of them unless one row has more."""
_BYTES_OF_A_POINT = 64


class Sent(msgspec.Struct, kw_only=True):
    """What was sent of a run.

    Attributes:
        rows: messages, rows of metrics, entries of tracks, and other documents.
        points: values of metrics that are in no such row.
        files: artifacts; bytes: of their files.
        params: params that the server did not have, or has with another value.
        gone: artifacts whose files are not in the folder any more, or never were: links may lead out of it.
    """

    rows: int = 0
    points: int = 0
    files: int = 0
    bytes: int = 0
    params: int = 0
    gone: list[str] = []


def upload(folder: str | os.PathLike[str], url: str, token: str | None = None) -> Sent:
    """Send a server what it lacks of a run: its params, tags, log, metrics, tracks, artifacts and status.

    The run may still be going; then everything that is committed is sent. What the server has is not
    sent again, and a file goes on where it was cut. Records of samples stay where they are. Tags that were
    changed after the run began take the place of those that it has at the server.

    Args:
        folder: the run folder.
        url: address of the server.
        token: what it asks for; by default $SPECPLAN_TOKEN, or what $SPECPLAN_TOKEN_FILE holds.

    Raises:
        RunError: there is no run in the folder, or no token.
        RemoteError: the server does not answer, or refuses.
        ValueError: the address is none.
    """
    with _opened(folder, url, token) as sending:
        if not sending.look():  # to send it what it has would be a session of its run
            sending.send()
            sending.send_status()
        return sending.sent


def lacking(folder: str | os.PathLike[str], url: str, token: str | None = None) -> Sent:
    """What `upload` would send now. Nothing is changed at the server.

    Raises:
        RunError: there is no run in the folder, or no token.
        RemoteError: the server does not answer, or refuses.
        ValueError: the address is none.
    """
    with _opened(folder, url, token) as sending:
        sending.look()
        return sending.lacking()


@contextmanager
def _opened(folder: str | os.PathLike[str], url: str, token: str | None) -> Iterator[Upload]:
    with closing(Server(url, client_token(token))) as server:
        yield Upload(RunFolder(Path(folder)), server)


class Upload:
    """Sends what is new of a run, each time that it is asked to. For one thread at a time.

    Attributes:
        sent: all of it so far.
    """

    def __init__(self, folder: RunFolder, server: Server) -> None:
        self._folder = folder
        self._server = server
        self._run_file = read_run_file(folder)
        self._id: str | None = None
        self._texts: dict[tuple[str, str], int] = {}
        self._points: Counter[Series] = Counter()
        self._points_seen: Counter[Series] = Counter()
        self._points_read = 0
        self._files: set[str] = set()
        self._params: Mapping[str, Any] = {}
        self._tags: Tags = {}
        self.sent = Sent()

    def send(self) -> None:
        """Send everything that is committed and that the server lacks.

        Raises:
            RemoteError: the server does not answer, or refuses. Asked again, the rest is sent.
        """
        try:
            self._begin()
            self._send_params()
            self._send_tags()
            reader = self._reader()
            for channel in _documents(reader):
                self._send_texts(channel)
            self._send_points(reader)
            for row in artifact_rows(reader):
                if row.file not in self._files:
                    self._send_file(row)
        except RemoteError:
            self._id = None  # it may have been started again, and has to be asked what it has
            raise

    def send_status(self) -> None:
        """Say how the run stands.

        Raises:
            RemoteError: the server does not answer, or refuses.
        """
        self._begin()
        run_file = read_run_file(self._folder)
        ended_at = run_file.sessions[-1].ended_at
        self._tell(
            "PATCH",
            "status",
            status=status_now(run_file),
            error=run_file.error,
            endedAt=ended_at,
        )

    def look(self) -> bool:
        """Ask what the server has of the run, which is nothing where it does not know it; says whether it has all.

        Raises:
            RemoteError: the server does not answer, or refuses.
        """
        own = self._run_file
        found = self._server.ask("", prefix=own.experiment)["experiments"]
        ids = [each["id"] for each in found if each.get("run") == own.run_id]
        if not ids:
            self._note({"tags": {}, "records": {}, "points": [], "files": []}, {})
            return False
        path = experiment_path(ids[-1])
        about = self._server.ask(path)
        self._note(about, self._server.ask(f"{path}/parameters")["data"])
        is_told = about["status"] == status_now(own) and not self._has_other_tags()
        return is_told and self.lacking() == Sent()

    @property
    def place(self) -> str:
        """Where it goes, as `mlx sync --to` takes it."""
        return self._server.url

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def unsent(self) -> int:
        """How many records the server is not known to have."""
        found = self.lacking()
        return found.rows + found.points + found.files

    def lacking(self) -> Sent:
        """What the server is not known to have."""
        reader = self._reader()
        rows = sum(
            channel.rows - self._texts.get((channel.field, channel.node), 0)
            for channel in _documents(reader)
        )
        points = sum(
            max(0, len(points) - max(0, self._points[series] - self._points_seen[series]))
            for series, points in self._new_points(reader)[0].items()
        )
        files = [row for row in artifact_rows(reader) if row.file not in self._files]
        return Sent(
            rows=rows,
            points=points,
            files=len(files),
            bytes=sum(row.bytes for row in files),
            params=self._lacking_params(settings(self._folder)),
        )

    def _begin(self) -> None:
        if self._id is not None:
            return
        experiment = read_plan(self._folder.plan_file).plan.experiment
        answer = self._server.tell(
            "POST",
            "",
            {
                "prefix": self._run_file.experiment,
                "run": self._run_file.run_id,
                "readme": experiment.description,
                "tags": read_tags(self._folder),
                "environment": read_environment(self._folder),
                "version": self._run_file.version,
                "createdAt": self._run_file.created_at,
            },
        )
        self._id = answer["id"]
        self._note(answer, self._server.ask(self._path("parameters"))["data"])

    def _note(self, answer: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Note how much the server has."""
        self._texts = {
            (field, node): count
            for field, nodes in answer["records"].items()
            for node, count in nodes.items()
        }
        counts = msgspec.convert(answer["points"], list[tuple[Series, int]])
        self._points, self._points_seen = Counter(dict(counts)), Counter()
        self._points_read = 0
        self._files = set(answer["files"])
        self._params = params
        self._tags = answer["tags"]

    def _send_params(self) -> None:
        params = settings(self._folder)
        if lacking := self._lacking_params(params):
            self._tell("PUT", "parameters", data=params)
            self._params = params
            self.sent.params += lacking

    def _lacking_params(self, params: Mapping[str, Any]) -> int:
        return sum(
            name not in self._params or self._params[name] != params[name] for name in params
        )

    def _send_tags(self) -> None:
        if self._has_other_tags():
            self._tags = self._tell("PUT", "tags", tags=read_tags(self._folder))["tags"]

    def _has_other_tags(self) -> bool:
        """Whether tags were changed here after the beginning, and the server does not have these."""
        return self._folder.tags_file.exists() and read_tags(self._folder) != self._tags

    def _send_texts(self, channel: TextReader) -> None:
        key = (channel.field, channel.node)
        for part in _in_requests(texts(channel, self._texts.get(key, 0)), len):
            raw = [msgspec.Raw(text.encode()) for text in part]
            route, body = _request_of(channel, raw)
            start = self._texts.get(key, 0)
            self._texts[key] = self._tell("POST", route, **body, start=start)["have"]
            self.sent.rows += len(part)

    def _send_points(self, reader: StoreReader) -> None:
        new, read = self._new_points(reader)
        for series, points in new.items():
            label = msgspec.structs.asdict(series)
            first = self._points_seen[series]
            lacking = points[max(0, self._points[series] - first) :]
            for part in _in_requests(iter(lacking), lambda _: _BYTES_OF_A_POINT):
                start = self._points[series]
                answer = self._tell("POST", "points", **label, points=part, start=start)
                self._points[series] = answer["have"]
                self.sent.points += len(part)
            self._points_seen[series] = first + len(points)
        self._points_read = read

    def _new_points(self, reader: StoreReader) -> tuple[dict[Series, list[list[Any]]], int]:
        """Values after those that were looked at and that are in no row of metrics, and how many there are in all."""
        read = sum(rows for _, _, rows in reader.metric_files())
        if read == self._points_read:
            return {}, read
        found: dict[Series, list[list[Any]]] = {}
        for series, *place in points_of(reader, self._points_read):
            found.setdefault(series, []).append(place)
        return found, read

    def _send_file(self, row: ArtifactRow) -> None:
        path = self._folder.artifacts / row.file
        if not path.exists() or leaves(path, self._folder.artifacts):
            self.sent.gone.append(row.name)
            self._files.add(row.file)
            return
        parts = []
        for each in sorted(files_below(path)):
            inside = each.relative_to(path).as_posix() if row.kind == FOLDER else ""
            digest = file_digest(each)
            self._send_bytes(each, digest)
            parts.append({"blake3": digest, "bytes": each.stat().st_size, "path": inside})
        self._tell(
            "POST",
            "files",
            name=row.name,
            file=row.file,
            kind=row.kind,
            mediaType=row.media_type,
            step=row.step,
            parts=parts,
        )
        self._files.add(row.file)
        self.sent.files += 1

    def _send_bytes(self, path: Path, digest: str) -> None:
        """The bytes of a file from where the server has them."""
        size = path.stat().st_size
        target = self._path(f"blobs/{digest}")
        have = self._server.ask(target)["have"]
        with path.open("rb") as file:
            is_begun = have > 0
            while have < size or not is_begun:
                file.seek(have)
                piece = file.read(PIECE)
                have = self._server.send(target, piece, offset=have, size=size)["have"]
                self.sent.bytes += len(piece)
                is_begun = True

    def _tell(self, method: str, route: str, **body: Any) -> Any:
        return self._server.tell(method, self._path(route), body)

    def _path(self, route: str) -> str:
        assert self._id is not None, "a request for a run comes after its beginning"
        return experiment_path(self._id, route)

    def _reader(self) -> StoreReader:
        return StoreReader.open(str(self._folder.records))


def _documents(reader: StoreReader) -> list[TextReader]:
    """The channels of JSON documents that belong to the run as a whole."""
    return [
        channel
        for channel in reader.texts()
        if not channel.phase and channel.field != ARTIFACT and channel.batches
    ]


def _in_requests(items: Iterator[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Items in lists that one request takes."""
    gathered: list[Item] = []
    total = 0
    for item in items:
        if gathered and (total + size(item) > BYTES_AT_ONCE or len(gathered) == ROWS_AT_ONCE):
            yield gathered
            gathered, total = [], 0
        gathered.append(item)
        total += size(item)
    if gathered:
        yield gathered


def _request_of(channel: TextReader, entries: list[msgspec.Raw]) -> tuple[str, dict[str, Any]]:
    """Where documents of a field go, and as what."""
    if channel.field == LOG and not channel.node:
        return "logs", {"entries": entries}
    if channel.field == METRICS:
        return "metrics/batch", {"name": channel.node or None, "rows": entries}
    if channel.field == TRACKS:
        return "tracks/append", {"topic": channel.node, "entries": entries}
    return "records", {"field": channel.field, "node": channel.node, "entries": entries}
