"""Runs in event files of TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.errors import RunError
from specplan.exchange.to_tensorboard import HPARAMS, imported
from specplan.store.run_file import Status
from specplan.track.point import Point, Series
from specplan.track.portable import Portable

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECOND = 1_000_000_000


def runs_of_tensorboard(place: str) -> Iterator[Portable]:
    """A run for each folder of event files: its scalars and hyperparameters.

    Raises:
        RunError: there is no event file, or the package tensorboard is not installed.
    """
    imported()
    folder = Path(place)
    files = [folder] if folder.is_file() else sorted(folder.rglob("*tfevents*"))
    by_folder: dict[Path, list[Path]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file)
    if not by_folder:
        raise RunError(f"no event file in `{folder}`; their names have `tfevents` in them")
    top = (folder.parent if folder.is_file() else folder).resolve()
    for owner, found in by_folder.items():
        below = owner.resolve().relative_to(top).as_posix()
        name = top.name if below == "." else below.replace("/", "-")
        yield _run(found, experiment=top.name, name=name)


def _run(files: list[Path], *, experiment: str, name: str) -> Portable:
    series: dict[Series, list[Point]] = {}
    params: dict[str, Any] = {}
    others: set[str] = set()
    times: list[int] = []
    for file in files:
        for event in _events(file):
            time = round(event.wall_time * 1_000_000) * 1000
            times.append(time)
            for value in event.summary.value:
                if value.tag == HPARAMS:
                    params |= _hparams(value)
                elif (number := _scalar(value)) is None:
                    others.add(value.tag)
                else:
                    point = Point(value=number, step=event.step, time=time)
                    series.setdefault(Series(name=value.tag), []).append(point)
    kept = [tag for tag in sorted(others) if not tag.startswith("_hparams_/")]
    if not times:
        raise RunError(f"no events in `{files[0]}`: it is empty, or no event file")
    return Portable(
        experiment=experiment,
        name=name,
        status=Status.COMPLETED,
        started_at=min(times),
        ended_at=max(times),
        params=params,
        series=series,
        remarks=tuple(f"`{tag}` holds no scalars" for tag in kept),
    )


def _events(file: Path) -> Iterator[Any]:
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    try:
        yield from LegacyEventFileLoader(str(file)).Load()
    except Exception as error:
        raise RunError(f"{file} is no event file, or is damaged: {error}") from error


def _scalar(value: Any) -> float | None:
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or value.metadata.plugin_data.plugin_name not in ("", "scalars"):
        return None
    from tensorboard.util.tensor_util import make_ndarray

    found = make_ndarray(value.tensor)
    return float(found) if found.size == 1 and found.dtype.kind in "fiub" else None


def _hparams(value: Any) -> dict[str, Any]:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        data = HParamsPluginData.FromString(value.metadata.plugin_data.content)
    except DecodeError:
        return {}
    return {
        name: _param(getattr(each, each.WhichOneof("kind") or "null_value"))
        for name, each in data.session_start_info.hparams.items()
    }


def _param(value: Any) -> Any:
    """Protocol buffers have one kind of numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
