"""MLflow's client, and what MLflow can hold."""

from __future__ import annotations

import math
import os
import posixpath
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from specplan.base.redaction import redacted_text
from specplan.errors import RunError
from specplan.store.run_file import Status
from specplan.track.entries import File, Metric, Param

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from specplan.track.entries import Entry

Item = TypeVar("Item")
RUN_TAG = "specplan.run"
"""The tag of a run in MLflow that says which run folder it is of."""
STATUSES = {
    Status.CREATED: "SCHEDULED",
    Status.RUNNING: "RUNNING",
    Status.COMPLETED: "FINISHED",
    Status.FAILED: "FAILED",
}
"""What MLflow calls each status; every other one is KILLED."""
LARGEST = sys.float_info.max
"""What MLflow's databases keep in the place of infinity."""
_METRICS, _PARAMS = 1000, 100
_KEY, _VALUE, _TAG = 250, 6000, 8000
_NAME = re.compile(r"[/\w.\- :]+")


def imported() -> ModuleType:
    """The module `mlflow`, which is told to send nothing to its makers.

    Raises:
        RunError: it is not installed.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow
    except ImportError as error:
        raise RunError(
            "this needs the package `mlflow-skinny`\nhint: pip install 'specplan[mlflow]'"
        ) from error
    module: ModuleType = mlflow
    return module


def connected(uri: str) -> Any:
    """A client of the runs at a URI: of a server, a database (`sqlite:///FILE`) or a folder.

    Raises:
        RunError: mlflow is not installed.
    """
    allow_folder(uri)
    return imported().MlflowClient(tracking_uri=uri)


def allow_folder(uri: str) -> None:
    """Let MLflow keep runs in a folder, which it refuses unless it is told; databases are its default."""
    if "://" not in uri or uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")


def without_password(uri: str) -> str:
    """A URI as it may be written down."""
    return redacted_text(re.sub(r"(?<=://)[^/]*@", "", uri))


def refusal(uri: str, error: Exception) -> str:
    """What MLflow says of a request that failed. It repeats the URI, with the password in it."""
    return f"MLflow at {without_password(uri)}: {redacted_text(str(error))}"


@contextmanager
def impatient(seconds: int = 10) -> Iterator[None]:
    """Let MLflow ask a server that does not answer once more, instead of for minutes; the user's settings count."""
    added = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}
    added = {name: value for name, value in added.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def why_not(entry: Metric | Param) -> str | None:
    """Why MLflow cannot hold it; None where it can."""
    if not _NAME.fullmatch(entry.name):
        return f"MLflow takes letters, digits and `_-. :/` in names, which `{entry.name}` is not"
    if len(entry.name) > _KEY:
        return f"the name `{entry.name[:40]}…` has more than {_KEY} characters"
    if posixpath.normpath(entry.name) != entry.name or entry.name.startswith(("/", "..")):
        return f"the name `{entry.name}` could be a path that leaves its folder"
    if isinstance(entry, Param) and len(entry.value) > _VALUE:
        return f"the param `{entry.name}` has {len(entry.value)} characters; MLflow keeps {_VALUE}"
    return None


def fitting_tags(tags: dict[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """Tags as MLflow has them, and what is said of those that it cannot hold."""
    kept, refused = {}, []
    for name, value in tags.items():
        reason = why_not(Param(name, ""))
        if reason is None and len(value or "") > _TAG:
            reason = f"the tag `{name}` has {len(value or '')} characters; MLflow keeps {_TAG}"
        if reason is None:
            kept[name] = value or ""
        else:
            refused.append(reason)
    return kept, refused


def stored(value: float) -> float:
    """A value as MLflow's databases give it back."""
    return math.copysign(LARGEST, value) if math.isinf(value) else value


def send(client: Any, run_id: str | None, entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Log entries to a run of MLflow, in as few requests as it takes; gives what each of them has sent."""
    from mlflow import entities

    params = [item for item in entries if isinstance(item, Param)]
    for some in _parts(params, _PARAMS):
        client.log_batch(run_id, params=[entities.Param(item.name, item.value) for item in some])
        yield some
    metrics = [item for item in entries if isinstance(item, Metric)]
    for each in _parts(metrics, _METRICS):
        values = [entities.Metric(item.name, item.value, item.time, item.step) for item in each]
        client.log_batch(run_id, metrics=values)
        yield each
    for item in entries:
        if isinstance(item, File):
            _send_file(client, run_id, item)
            yield [item]


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def _send_file(client: Any, run_id: str | None, file: File) -> None:
    folder, _, name = file.name.rpartition("/")
    # MLflow names a file as it is named here, where a second version has another name.
    with tempfile.TemporaryDirectory() as aside:
        link = Path(aside) / name
        link.symlink_to(file.path.resolve())
        client.log_artifact(run_id, str(link), folder or None)
