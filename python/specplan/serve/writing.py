"""What a client tells of its run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from specplan._native import StoreReader
from specplan.serve.blobs import FOLDER_NAME, Blobs
from specplan.serve.faults import Fault
from specplan.serve.reading import counts
from specplan.serve.received import OWN_ROUTES
from specplan.store import tags
from specplan.store.fields import TRACKS
from specplan.store.run_file import ErrorRecord, Status
from specplan.track.files import Files
from specplan.track.tracks import check_stamp

if TYPE_CHECKING:
    from starlette.requests import Request

    from specplan.serve import protocol
    from specplan.serve.workspace import Workspace

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")


def begin(runs: Workspace, _: Request, asked: protocol.Begin) -> dict[str, Any]:
    """Begin or go on with a run; the answer says how much of it is there."""
    id_, created = runs.begin(asked)
    with runs.writing(id_) as run:
        folder = run.run.folder.path
        run.run.sync()
        return {
            "id": id_,
            "prefix": folder.parent.relative_to(runs.root).as_posix(),
            "run": folder.name,
            "created": created,
            "tags": tags.read_tags(run.run.folder),
            **counts(StoreReader.open(str(run.run.folder.records))),
        }


def set_status(runs: Workspace, request: Request, asked: protocol.SetStatus) -> dict[str, Any]:
    """Say how a run stands; running goes on with one that was over."""
    status = asked.known
    if status is Status.RUNNING:
        with runs.writing(_id(request)):
            return {"status": status}
    said = asked.error
    error = None if said is None else ErrorRecord(type=said.type, message=said.message)
    runs.end(_id(request), status, error, asked.ended)
    return {"status": status}


def set_parameters(
    runs: Workspace, request: Request, asked: protocol.SetParameters
) -> dict[str, Any]:
    """Add parameters; one that is there is replaced."""
    with runs.writing(_id(request)) as run:
        run.run.set_params(asked.data)
        return {"data": run.run.params}


def set_tags(runs: Workspace, request: Request, asked: protocol.SetTags) -> dict[str, Any]:
    """Put tags in the place of those of the run, whose sessions stay as they are."""
    return {"tags": runs.set_tags(_id(request), asked.tags)}


def append_logs(runs: Workspace, request: Request, asked: protocol.AppendLogs) -> dict[str, int]:
    """Add messages."""
    with runs.writing(_id(request)) as run:
        return {"have": run.logs(asked.entries, asked.start)}


def append_row(runs: Workspace, request: Request, asked: protocol.AppendRow) -> dict[str, int]:
    """Add one row of metrics."""
    from specplan.serve.protocol import Row

    with runs.writing(_id(request)) as run:
        return {"have": run.rows(asked.name, [Row(data=asked.data)], None)}


def append_rows(runs: Workspace, request: Request, asked: protocol.AppendRows) -> dict[str, int]:
    """Add rows of metrics."""
    with runs.writing(_id(request)) as run:
        return {"have": run.rows(asked.name, asked.rows, asked.start)}


def append_points(
    runs: Workspace, request: Request, asked: protocol.AppendPoints
) -> dict[str, int]:
    """Add values of one series."""
    with runs.writing(_id(request)) as run:
        return {"have": run.points(asked)}


def append_track(runs: Workspace, request: Request, asked: protocol.AppendTrack) -> dict[str, int]:
    """Add entries of a track."""
    for entry in asked.entries:
        stamp = entry.get("_ts")
        if not isinstance(stamp, int | float):
            raise Fault(400, "an entry of a track has its time as `_ts`, a number")
        check_stamp(stamp)
    with runs.writing(_id(request)) as run:
        return {"have": run.documents(TRACKS, asked.topic, asked.entries, asked.start)}


def append_records(
    runs: Workspace, request: Request, asked: protocol.AppendRecords
) -> dict[str, int]:
    """Add documents of a field that has no route of its own."""
    if asked.field in OWN_ROUTES or not _FIELD.fullmatch(asked.field):
        raise Fault(400, f"{asked.field!r} is no field of plain documents")
    with runs.writing(_id(request)) as run:
        return {"have": run.documents(asked.field, asked.node, asked.entries, asked.start)}


def add_file(runs: Workspace, request: Request, asked: protocol.AddFile) -> dict[str, Any]:
    """Make an artifact of bytes that are there."""
    with runs.writing(_id(request)) as run:
        row = _blobs(runs, request).take(run, asked)
        return {"name": asked.name, "added": row is not None}


def delete_file(runs: Workspace, request: Request, _: None) -> dict[str, str]:
    """Leave a file out of what is listed."""
    name = request.path_params["name"]
    with runs.writing(_id(request)) as run:
        files = Files("", lambda: run.run)
        if not files.exists(name):
            raise Fault(404, "there is no file of this name")
        files.delete(name)
    return {"deleted": name}


def append_blob(runs: Workspace, request: Request, piece: bytes) -> dict[str, int]:
    """Add a piece of a file."""
    offset, size = (_whole(request, name) for name in ("offset", "size"))
    with runs.writing(_id(request)):
        digest = request.path_params["digest"]
        return {"have": _blobs(runs, request).append(digest, offset, size, piece)}


def show_blob(runs: Workspace, request: Request, _: None) -> dict[str, int]:
    """How much of a file is there."""
    runs.folder(_id(request))
    return {"have": _blobs(runs, request).have(request.path_params["digest"])}


def _id(request: Request) -> str:
    id_: str = request.path_params["id"]
    return id_


def _blobs(runs: Workspace, request: Request) -> Blobs:
    # The id is that of a run that is there: letters, digits, `-` and `_`.
    return Blobs(runs.root / FOLDER_NAME / _id(request)[-200:])


def _whole(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise Fault(400, f"`{name}` is a number of bytes")
    return int(text)
