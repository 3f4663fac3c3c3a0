"""Values of metrics one by one: those that are in no row that a program logged."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from specplan.results.compare import SERIES
from specplan.results.metrics import as_arrow, without_rows
from specplan.store.documents import channels_of
from specplan.store.fields import METRICS
from specplan.store.recorder import WHOLE
from specplan.track.point import Series

if TYPE_CHECKING:
    import pyarrow as pa

    from specplan._native import StoreReader
    from specplan.store.metric_log import Metric

Place = tuple[float | str, int, int, int, int]
"""Value, step, epoch, batch and time; a value that JSON has not is a text."""


def points_of(reader: StoreReader, first: int = 0) -> list[tuple[Series, *Place]]:
    """The values from row `first` of the table on, in their order, without those of rows of metrics."""
    return points_in(point_table(reader, first))


def point_table(reader: StoreReader, first: int = 0) -> pa.Table:
    """As `points_of`, the rows of the table."""
    named = {channel.node or None for channel in channels_of(reader, METRICS)}
    metrics = as_arrow(reader.metrics(run_id="", first=first)).drop_columns(["run_id", "session"])
    return without_rows(metrics, named)


def points_in(table: pa.Table) -> list[tuple[Series, *Place]]:
    """The values in rows of the table."""
    times = table.column("time").cast("int64").to_pylist()
    return [
        (
            Series(**{key: row[key] for key in SERIES}),
            row["value"] if math.isfinite(row["value"]) else str(row["value"]),
            row["step"],
            WHOLE if row["epoch"] is None else row["epoch"],
            WHOLE if row["batch"] is None else row["batch"],
            time,
        )
        for row, time in zip(table.drop_columns("time").to_pylist(), times, strict=True)
    ]


def point_counts(reader: StoreReader) -> Counter[Series]:
    """How many values each series of a store has, those of rows of metrics included."""
    table = as_arrow(reader.metrics(run_id="")).group_by(list(SERIES), use_threads=False)
    rows = table.aggregate([([], "count_all")]).to_pylist()
    return Counter({Series(**{key: row[key] for key in SERIES}): row["count_all"] for row in rows})


def greatest_steps(reader: StoreReader) -> dict[Metric, int]:
    """The greatest step of each metric of a store, without those of phases and nodes."""
    table = as_arrow(reader.metrics(run_id="")).group_by(list(SERIES)).aggregate([("step", "max")])
    return {
        (row["split"], row["name"]): row["step_max"]
        for row in table.to_pylist()
        if not row["phase"] and row["node"] is None
    }
