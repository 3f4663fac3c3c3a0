"""What a client asks of runs. Nothing is written for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan._native import StoreReader
from specplan.errors import RunError
from specplan.plan.canonical import read_plan
from specplan.results.artifacts import artifact_rows, artifacts_of
from specplan.results.status import read_run_file, status_now
from specplan.serve.faults import Fault
from specplan.store.artifacts import FOLDER, files_below
from specplan.track.files import DELETED
from specplan.track.metric_row import FIELD as METRICS
from specplan.track.notes import FIELD as LOG
from specplan.track.points import point_counts, points_of
from specplan.track.tracks import FIELD as TRACKS
from specplan.track.tracks import merged

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from specplan.results.artifacts import Artifact
    from specplan.serve.workspace import Workspace
    from specplan.store.layout import RunFolder

MOST_ROWS = 10_000


def list_experiments(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """The runs of the root, or of one prefix, oldest first."""
    found = []
    for id_ in runs.ids(request.query_params.get("prefix")):
        try:
            found.append(_described(runs, id_))
        except RunError as error:
            found.append({"id": id_, "error": str(error)})  # one damaged run hides no other
        except Fault:
            continue  # it was removed meanwhile, or no client may ask for it: it is behind a link
    return {"experiments": found}


def show(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """One run, and how much there is of it."""
    folder = _folder(runs, request)
    about = read_plan(folder.plan_file).plan.experiment
    return {
        **_described(runs, request.path_params["id"]),
        "readme": about.description,
        "tags": about.tags,
        **counts(StoreReader.open(str(folder.records))),
    }


def counts(reader: StoreReader) -> dict[str, Any]:
    """How much a run has of everything that can be appended to."""
    texts: dict[str, dict[str, int]] = {}
    for channel in reader.texts():
        if not channel.phase:
            texts.setdefault(channel.field, {})[channel.node] = channel.rows
    return {
        "records": texts,
        "points": list(point_counts(reader).items()),
        "files": sorted(row.file for row in artifact_rows(reader)),
    }


def points(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Values of metrics that are in no row, each with its series."""
    reader = StoreReader.open(str(_folder(runs, request).records))
    return _page(request, points_of(reader))


def parameters(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """The parameters of a run."""
    file = _folder(runs, request).params_file
    return {"data": msgspec.json.decode(file.read_bytes()) if file.is_file() else {}}


def logs(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Messages of a run."""
    return _page(request, _documents(_folder(runs, request), LOG, ""))


def records(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Documents of any field."""
    field = request.query_params.get("field", "")
    node = request.query_params.get("node", "")
    return _page(request, _documents(_folder(runs, request), field, node))


def metric_data(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Rows of the metrics of a name."""
    name = request.query_params.get("name", "")
    return _page(request, _documents(_folder(runs, request), METRICS, name))


def metric_stats(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """How many rows there are of each name, and when the first and last of them were logged."""
    folder = _folder(runs, request)
    asked = request.query_params.get("name")
    found = []
    for channel in StoreReader.open(str(folder.records)).texts():
        if channel.field == METRICS and asked in (None, channel.node):
            rows = _documents(folder, METRICS, channel.node)
            found.append(
                {
                    "name": channel.node or None,
                    "totalDataPoints": len(rows),
                    "firstDataAt": rows[0]["createdAt"],
                    "lastDataAt": rows[-1]["createdAt"],
                }
            )
    return {"metrics": found}


def track_data(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """Entries of a track in the order of their times, those of one time as one."""
    query = request.query_params
    start, end = (float(query[name]) if name in query else None for name in ("from", "to"))
    entries = merged(_documents(_folder(runs, request), TRACKS, query.get("topic", "")))
    return {"data": list(entries.slice(start, end))}


def files(runs: Workspace, request: Request, _: None) -> dict[str, Any]:
    """The newest file of each name."""
    folder = _folder(runs, request)
    found = present_artifacts(folder)
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
    artifact = present_artifacts(folder).get(request.path_params["name"])
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


def _documents(folder: RunFolder, field: str, node: str) -> list[Any]:
    for channel in StoreReader.open(str(folder.records)).texts():
        if (channel.phase, channel.field, channel.node) == ("", field, node):
            texts = (text for at in range(channel.batches) for text in channel.at(at))
            return [msgspec.json.decode(text) for text in texts]
    return []


def _page(request: Request, rows: list[Any]) -> dict[str, Any]:
    start = int(request.query_params.get("start", "0"))
    limit = int(request.query_params.get("limit", "1000"))
    if start < 0 or not 0 < limit <= MOST_ROWS:
        raise Fault(400, f"`start` is 0 or more, and `limit` 1 to {MOST_ROWS}")
    chosen = rows[start : start + limit]
    return {"data": chosen, "start": start, "total": len(rows)}


def present_artifacts(folder: RunFolder) -> dict[str, Artifact]:
    """The newest artifact of each name, without those that were deleted."""
    reader = StoreReader.open(str(folder.records))
    deleted = [
        tuple(msgspec.json.decode(text))
        for channel in reader.texts()
        if channel.field == DELETED
        for at in range(channel.batches)
        for text in channel.at(at)
    ]
    return {
        name: artifact
        for name, artifact in artifacts_of(folder, reader).items()
        if (name, artifact.version) not in deleted
    }
