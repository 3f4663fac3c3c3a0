"""Rows of metrics in JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.errors import RunError
from specplan.spec.wording import choices
from specplan.store.run_file import Status
from specplan.track.curves import restored
from specplan.track.point import Point, Series
from specplan.track.portable import Portable, nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = ("step", "metric", "value", "split", "timestamp", "run_id", "dataset", "tags", "metrics")
_SECOND = 1_000_000_000
Runs = dict[str, dict[Series, list[Point]]]


def runs_of_jsonl(place: str) -> Iterator[Portable]:
    """The runs of a file, or of the files *.jsonl of a folder, one for each `run_id`.

    A row is `{"step": 1, "metric": "loss", "value": 0.5}`, and may have `split`, `timestamp` (seconds
    since 1970, or ISO 8601) and `run_id`; or it is `{"step": 1, "metrics": {"loss": 0.5}}`. A folder with
    metrics.jsonl may have the params of the run in params.json.

    Raises:
        RunError: there is no such file, or a line of it is wrong.
    """
    path = Path(place)
    if path.is_file():
        yield from _runs_of(path, experiment=path.parent.resolve().name, name=path.stem)
        return
    files = sorted(path.glob("*.jsonl")) or sorted(path.glob("*/metrics.jsonl"))
    if not files:
        raise RunError(f"no file `{path}`, nor files *.jsonl below it")
    for file in files:
        is_folder = file.name == "metrics.jsonl"
        owner = file.parent.resolve()
        experiment = owner.parent.name if is_folder else owner.name
        yield from _runs_of(
            file, experiment=experiment, name=owner.name if is_folder else file.stem
        )


def _runs_of(file: Path, *, experiment: str, name: str) -> Iterator[Portable]:
    runs: Runs = {}
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if line.strip():
            try:
                _add(json.loads(line), runs)
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                raise RunError(f"{file}:{number}: {error}") from error
    params = file.with_name("params.json")
    for run_id, series in runs.items():
        found = [point.time for points in series.values() for point in points]
        times = [time for time in found if time is not None]
        yield Portable(
            experiment=experiment,
            name=run_id or name,
            status=Status.COMPLETED,
            started_at=min(times, default=None),
            ended_at=max(times, default=None),
            params=_params(params) if len(runs) == 1 else {},
            series=series,
        )


def _add(row: Any, runs: Runs) -> None:
    if not isinstance(row, dict):
        raise ValueError("a row is an object")
    if "metrics" in row:
        values = restored(row)["metrics"]
    else:
        missing = [key for key in ("step", "metric", "value") if key not in row]
        if missing:
            known = choices(next((key for key in row if key not in KEYS), None), KEYS)
            raise ValueError(f"the key `{missing[0]}` is missing; a row has {known}")
        values = {row["metric"]: row["value"]}
    series = runs.setdefault(str(row.get("run_id") or ""), {})
    split = row.get("split")
    if not isinstance(split, str | None) or not all(isinstance(name, str) for name in values):
        raise ValueError("`metric` and `split` are texts")
    for name, value in values.items():
        points = series.setdefault(Series(name=name, split=split), [])
        step = len(points) if row.get("step") is None else int(row["step"])
        points.append(Point(value=_number(name, value), step=step, time=_time(row)))


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and value.lower() not in ("nan", "inf", "-inf"):
        raise ValueError(f"the value of `{name}` is no number")
    if not isinstance(value, int | float | str):
        raise ValueError(f"the value of `{name}` is no number")
    return float(value)


def _time(row: dict[str, Any]) -> int | None:
    found = row.get("timestamp")
    if found is None:
        return None
    return nanoseconds(found) if isinstance(found, str) else int(found * _SECOND)


def _params(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise RunError(f"{file}: {error}") from error
    if not isinstance(found, dict):
        raise RunError(f"{file}: it is no object")
    return found
