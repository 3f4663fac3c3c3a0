"""What a client asks of runs. Nothing is written for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RunError
from specplan.plan.canonical import read_plan
from specplan.results.artifacts import artifact_rows, artifacts_of
from specplan.results.settings import read_params
from specplan.results.status import read_run_file, status_now
from specplan.serve.faults import Fault
from specplan.store.artifacts import FOLDER, files_below
from specplan.store.documents import channel_of, channels_of, documents, texts
from specplan.store.fields import LOG, METRICS, TRACKS
from specplan.store.tags import read_tags
from specplan.track.metric_row import MetricRow
from specplan.track.points import point_counts, point_table, points_in
from specplan.track.tracks import merged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from starlette.requests import Request

    from specplan._native import StoreReader, TextReader
    from specplan.results.artifacts import Artifact
    from specplan.serve.workspace import Workspace
    from specplan.store.layout import RunFolder

MOST_ROWS = 10_000


def list_experiments(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """The runs of the root, or of one prefix, oldest first."""
    ids = runs.ids(request.query_params.get("prefix"))
    page = _page(request, len(ids), lambda start, count: ids[start : start + count], most=None)
    found = []
    for id_ in page.pop("data"):
        try:
            found.append(_described(runs, id_))
        except RunError as error:
            found.append({"id": id_, "error": str(error)})  # one damaged run hides no other
        except Fault:
            continue  # it was removed meanwhile, or no client may ask for it: it is behind a link
    return {"experiments": found, **page}


def show(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """One run, and how much there is of it."""
    folder = _folder(runs, request)
    about = read_plan(folder.plan_file).plan.experiment
    return {
        **_described(runs, request.path_params["id"]),
        "readme": about.description,
        "tags": read_tags(folder),
        **counts(runs.records(folder)),
    }


def counts(reader: StoreReader) -> dict[str, Any]:
    """How much a run has of everything that can be appended to."""
    records: dict[str, dict[str, int]] = {}
    for channel in reader.texts():
        if not channel.phase:
            records.setdefault(channel.field, {})[channel.node] = channel.rows
    return {
        "records": records,
        "points": list(point_counts(reader).items()),
        "files": sorted(row.file for row in artifact_rows(reader)),
    }


def points(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Values of metrics that are in no row, each with its series."""
    table = point_table(runs.records(_folder(runs, request)))
    return _page(request, table.num_rows, lambda *part: points_in(table.slice(*part)))


def parameters(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """The parameters of a run."""
    return {"data": read_params(_folder(runs, request))}


def logs(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Messages of a run."""
    return _documents(runs, request, LOG, "")


def records(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Documents of any field."""
    query = request.query_params
    return _documents(runs, request, query.get("field", ""), query.get("node", ""))


def metric_data(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Rows of the metrics of a name."""
    return _documents(runs, request, METRICS, request.query_params.get("name", ""))


def metric_stats(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """How many rows there are of each name, and when the first and last of them were logged."""
    asked = request.query_params.get("name")
    found = []
    for channel in channels_of(runs.records(_folder(runs, request)), METRICS):
        if channel.rows and asked in (None, channel.node):
            first, last = (_row(channel, place) for place in (0, channel.rows - 1))
            found.append(
                {
                    "name": channel.node or None,
                    "totalDataPoints": channel.rows,
                    "firstDataAt": first.created_at,
                    "lastDataAt": last.created_at,
                }
            )
    return {"metrics": found}


def _row(channel: TextReader, place: int) -> MetricRow:
    row: MetricRow
    (row,) = documents(channel, MetricRow, first=place, most=1)
    return row


def track_data(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Entries of a track in the order of their times, those of one time as one."""
    query = request.query_params
    start, end = (float(query[name]) if name in query else None for name in ("from", "to"))
    records = runs.records(_folder(runs, request))
    channel = channel_of(records, TRACKS, query.get("topic", ""))
    entries = [*merged(documents(channel)).slice(start, end)]
    return _page(request, len(entries), lambda at, count: entries[at : at + count], most=None)


def files(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """The newest file of each name."""
    folder = _folder(runs, request)
    found = artifacts_of(folder, runs.records(folder))
    return {
        "files": [
            {
                "name": name,
                "file": artifact.path.relative_to(folder.artifacts).as_posix(),
                "kind": artifact.kind,
                "sizeBytes": artifact.bytes,
                "contentType": artifact.media_type,
                "checksum": artifact.digest,
                **({"parts": parts_of(artifact)} if artifact.kind == FOLDER else {}),
            }
            for name, artifact in found.items()
        ]
    }


def file(runs: Workspace, request: Request) -> tuple[Path, str]:
    """Path and name of a file, which is asked for by the name under which it was saved.

    One of a folder is asked for by the name of that, and its path there as `part`.

    Raises:
        Fault: there is none, or its path is not that of a file of the run.
    """
    folder = _folder(runs, request)
    artifact = artifacts_of(folder, runs.records(folder)).get(request.path_params["name"])
    part = request.query_params.get("part")
    if artifact is None or (artifact.kind == FOLDER) != (part is not None):
        raise Fault(404, "there is no file of this name")
    path = artifact.path
    if part is not None:
        if part not in parts_of(artifact):
            raise Fault(404, "there is no file of this name")
        path /= part
    if path.resolve() != path or not path.is_file():
        raise Fault(404, "the file is gone")
    return path, path.name


def parts_of(artifact: Artifact) -> list[str]:
    """The paths of the files in a folder."""
    files = files_below(artifact.path)
    return sorted(path.relative_to(artifact.path).as_posix() for path in files)


def _described(runs: Workspace, id_: str) -> dict[str, Any]:
    folder = runs.folder(id_)
    run_file = read_run_file(folder)
    error = run_file.error
    return {
        "id": id_,
        "prefix": folder.path.parent.relative_to(runs.root).as_posix(),
        "run": run_file.run_id,
        "version": run_file.version,
        "status": status_now(run_file).value,
        "createdAt": run_file.created_at,
        "sessions": len(run_file.sessions),
        "error": None if error is None else {"type": error.type, "message": error.message},
    }


def _folder(runs: Workspace, request: Request) -> RunFolder:
    return runs.folder(request.path_params["id"])


def _documents(runs: Workspace, request: Request, field: str, node: str) -> dict[str, Any]:
    channel = channel_of(runs.records(_folder(runs, request)), field, node)
    if channel is None:
        return _page(request, 0, lambda *_: [])
    # What is stored is JSON: it is handed on as it is.
    return _page(
        request,
        channel.rows,
        lambda *part: [msgspec.Raw(text.encode()) for text in texts(channel, *part)],
    )


def _page(
    request: Request,
    total: int,
    part: Callable[[int, int], Sequence[Any]],
    most: int | None = 1000,
) -> dict[str, Any]:
    """What is asked for by `start` and `limit`, where the next page starts, and how much there is.

    Args:
        request: the request.
        total: how much there is.
        part: gives so many from a place on.
        most: the limit where none is asked for; None for all.
    """
    query = request.query_params
    start, limit = int(query.get("start", "0")), int(query.get("limit", most or total or 1))
    if start < 0 or not 0 < limit <= (MOST_ROWS if "limit" in query or most else limit):
        raise Fault(400, f"`start` is 0 or more, and `limit` 1 to {MOST_ROWS}")
    count = max(0, min(limit, total - start))
    after = start + count
    return {
        "data": part(start, count) if count else [],
        "start": start,
        "next": after if after < total else None,
        "total": total,
    }
