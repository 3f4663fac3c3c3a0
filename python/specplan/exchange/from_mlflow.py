"""Runs that MLflow keeps."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from specplan.errors import RunError
from specplan.exchange.written import dated_name, files_below, meant
from specplan.store.run_file import Status
from specplan.track.mlflow_client import LARGEST, STATUSES, connected, refusal
from specplan.track.point import Point, Series
from specplan.track.portable import Portable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.track.entries import File

_MILLISECOND = 1_000_000
_SQLITE = "sqlite:///"
_MAGIC = b"SQLite format 3\0"
_OURS = {name: status for status, name in STATUSES.items() if status != Status.RUNNING}
_DESCRIPTION = "mlflow.note.content"


def runs_of_mlflow(place: str) -> Iterator[Portable]:
    """The runs of every experiment at a URL, in a database (`sqlite:///FILE`, or the file), or in a folder.

    A database is read from a copy. Artifacts of a database or folder are taken where they are beside it.

    Raises:
        RunError: there is nothing, MLflow is not installed, does not answer, or cannot read it.
    """
    with tempfile.TemporaryDirectory() as aside:
        uri, home = _uri(place, Path(aside))
        try:
            client = connected(uri)
            for experiment in client.search_experiments(order_by=["name"]):
                for run in _runs(client, experiment.experiment_id):
                    with tempfile.TemporaryDirectory(dir=aside) as taken:
                        files, remarks = _files(uri, home, run.info, Path(taken))
                        found = _portable(client, experiment.name, run)
                        yield msgspec.structs.replace(
                            found, files=tuple(files), remarks=tuple(remarks)
                        )
        except (RunError, OSError):
            raise
        except Exception as error:
            raise RunError(refusal(place, error)) from error


def _uri(place: str, aside: Path) -> tuple[str, Path | None]:
    """What MLflow's client is given, and the folder that local artifacts lie in; None for a server."""
    if "://" in place and not place.startswith((_SQLITE, "file://")):
        return place, None
    path = Path(place.removeprefix(_SQLITE).removeprefix("file://"))
    if path.is_dir():
        if not any(path.glob("*/meta.yaml")):
            raise RunError(f"no experiments of MLflow in `{path}`: no folder has a meta.yaml")
        return str(path), path
    if not path.is_file():
        raise RunError(f"no file `{path}`")
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise RunError(f"{path} is no database of SQLite")
    for each in (path, path.with_name(f"{path.name}-wal")):
        if each.is_file():
            shutil.copyfile(each, aside / each.name)
    return f"{_SQLITE}{aside / path.name}", path.parent


def _runs(client: Any, experiment_id: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], order_by=["attributes.start_time"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _portable(client: Any, experiment: str, run: Any) -> Portable:
    """A run without its files."""
    info = run.info
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    return Portable(
        experiment=experiment,
        name=dated_name((info.start_time or 0) * _MILLISECOND, info.run_id[:12]),
        status=_OURS.get(info.status, Status.CANCELLED)
        if info.status != "RUNNING"
        else Status.INTERRUPTED,
        started_at=info.start_time * _MILLISECOND if info.start_time else None,
        ended_at=info.end_time * _MILLISECOND if info.end_time else None,
        description=run.data.tags.get(_DESCRIPTION, ""),
        params={name: meant(value) for name, value in run.data.params.items()},
        tags=tags,
        series={Series(name=name): _points(client, info.run_id, name) for name in run.data.metrics},
    )


def _points(client: Any, run_id: str, name: str) -> list[Point]:
    return [
        Point(
            value=math.copysign(math.inf, each.value) if abs(each.value) == LARGEST else each.value,
            step=each.step,
            time=each.timestamp * _MILLISECOND,
        )
        for each in client.get_metric_history(run_id, name)
    ]


def _files(uri: str, home: Path | None, info: Any, aside: Path) -> tuple[list[File], list[str]]:
    """The artifacts of a run, those that a server has below `aside`."""
    place = urlsplit(info.artifact_uri)
    if home is None:
        if place.scheme in ("", "file"):
            # MLflow's client would take it for a folder of this machine, whatever the server says.
            return [], [f"its artifacts are in `{place.path}` of the server's machine"]
        from mlflow import MlflowClient, artifacts

        if not MlflowClient(uri).list_artifacts(info.run_id):
            return [], []
        artifacts.download_artifacts(run_id=info.run_id, tracking_uri=uri, dst_path=str(aside))
        return files_below(aside)
    if place.scheme not in ("", "file"):
        return [], [f"its artifacts are at {place.scheme}://, which is not asked"]
    folder = Path(unquote(place.path))
    # Runs that were moved lie where MLflow puts them by itself.
    own = f"{info.experiment_id}/{info.run_id}/artifacts"
    for each in (folder, home / own, home / "mlruns" / own):
        if each.is_dir() and each.resolve().is_relative_to(home.resolve()):
            return files_below(each)
    if folder.resolve().is_relative_to(home.resolve()):
        return [], []  # it has none
    return [], [f"its artifacts are in `{folder}`, outside of `{home}`"]
