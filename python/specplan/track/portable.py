"""A run as other tools know one: names, numbers and files, without phases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.redaction import hidden
from specplan.results.settings import settings
from specplan.store.artifacts import leaves
from specplan.store.run_files import iso
from specplan.track.entries import File
from specplan.track.point import Point, Series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specplan.results.open import Run
    from specplan.store.run_file import Status


class Portable(msgspec.Struct, kw_only=True):
    """A run, to be sent to another tool or taken from one.

    Attributes:
        name: of the run, among those of its experiment.
        started_at: nanoseconds since 1970, as `ended_at`; None where that is not known.
        series: the values of each metric; of their places only step and time count.
        files: the newest artifact of each name.
        remarks: what could not be taken.
    """

    experiment: str
    name: str
    status: Status
    started_at: int | None = None
    ended_at: int | None = None
    description: str = ""
    params: Mapping[str, Any] = {}
    tags: Mapping[str, str | None] = {}
    series: Mapping[Series, Sequence[Point]] = {}
    files: tuple[File, ...] = ()
    remarks: tuple[str, ...] = ()


def portable(run: Run, first: int = 0) -> Portable:
    """What other tools can have of a run, as it is now; of its metrics, what stands from row `first` on."""
    last = run.run_file.sessions[-1]
    experiment = run.plan.experiment
    outside = [
        name for name, each in run.artifacts.items() if leaves(each.path, run.folder.artifacts)
    ]
    return Portable(
        experiment=run.experiment,
        name=run.id,
        status=run.status,
        started_at=nanoseconds(run.run_file.created_at),
        ended_at=None if last.ended_at is None else nanoseconds(last.ended_at),
        description=hidden("", experiment.description),
        params=settings(run.folder),
        tags=run.tags,
        series=_series(run, first),
        files=tuple(
            File(name, artifact.path, artifact.version)
            for name, artifact in run.artifacts.items()
            if name not in outside
        ),
        remarks=tuple(f"the artifact `{name}` is a link out of its folder" for name in outside),
    )


def nanoseconds(moment: str) -> int:
    """A time in ISO 8601, of UTC where it names no zone, as nanoseconds since 1970."""
    found = datetime.fromisoformat(moment)
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def moment_of(time: int) -> str:
    """Nanoseconds since 1970 as run.json has them."""
    moment = datetime.fromtimestamp(time // 1_000_000_000, UTC)
    return iso(moment.replace(microsecond=time % 1_000_000_000 // 1000))


def _series(run: Run, first: int) -> dict[Series, list[Point]]:
    """Phase, node and split are parts of the names; values of single batches end in `/batch`."""
    import pyarrow as pa

    from specplan.results.metrics import as_arrow

    table = as_arrow(run.metric_rows(first))
    names = ("phase", "node", "split", "name", "batch", "step", "value")
    columns = [table.column(name).to_pylist() for name in names]
    times = table.column("time").cast(pa.int64()).to_pylist()
    found: dict[Series, list[Point]] = {}
    for phase, node, split, name, batch, step, value, time in zip(*columns, times, strict=True):
        end = None if batch is None else "batch"
        full = "/".join(part for part in (phase, node, split, name, end) if part)
        point = Point(value=value, step=step, time=time)
        found.setdefault(Series(name=full), []).append(point)
    return found
