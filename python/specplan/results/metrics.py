"""The long table of metrics, live or finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from specplan.results.arrow_files import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("session", pa.int32(), nullable=False),
        pa.field("phase", pa.string(), nullable=False),
        pa.field("node", pa.string()),
        pa.field("split", pa.string()),
        pa.field("name", pa.string(), nullable=False),
        pa.field("epoch", pa.int32()),
        pa.field("batch", pa.int32()),
        pa.field("step", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("ns", "UTC"), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)
SERIES = ["phase", "node", "split", "name"]


def read_metrics(files: Sequence[tuple[str, int]], *, run_id: str, session: int) -> pa.Table:
    """The metrics in the files of a store, as `export_metrics` would write them."""
    stored = read_rows(files)
    if stored is None:
        return SCHEMA.empty_table()
    constants = {"run_id": run_id, "session": session}
    columns = [
        pa.repeat(pa.scalar(constants[field.name], field.type), stored.num_rows)
        if field.name in constants
        else _column(stored.column(field.name), field)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def _column(stored: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    column = stored.cast(field.type)
    if not field.nullable:
        return column
    absent = "" if pa.types.is_string(field.type) else -1
    return pc.if_else(pc.equal(column, absent), pa.scalar(None, field.type), column)


def select(
    metrics: pa.Table, *, name: str | None, phase: str | None, split: str | None
) -> pa.Table:
    """The rows of the series that have all of the labels that are given."""
    for column, wanted in (("name", name), ("phase", phase), ("split", split)):
        if wanted is not None:
            metrics = metrics.filter(pc.equal(metrics.column(column), wanted))
    return metrics


def last_values(metrics: pa.Table) -> pa.Table:
    """One row for each series, its last value; rows keep their order.

    Where a series has values of whole epochs or phases, it is the last of those.
    """
    count = metrics.num_rows
    of_whole = metrics.column("batch").is_null().to_numpy()
    rank = np.arange(count) + count * of_whole
    ranked = metrics.append_column("rank", pa.array(rank))
    last = ranked.group_by(SERIES, use_threads=False).aggregate([("rank", "max")])
    rows = np.sort(last.column("rank_max").to_numpy() % max(count, 1))
    return metrics.take(pa.array(rows))
