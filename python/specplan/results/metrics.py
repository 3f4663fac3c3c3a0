"""The long table of metrics, live or finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from specplan.results.arrow_files import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("session", pa.int32()),
        ("phase", pa.string()),
        ("node", pa.string()),
        ("split", pa.string()),
        ("name", pa.string()),
        ("epoch", pa.int32()),
        ("batch", pa.int32()),
        ("step", pa.int64()),
        ("time", pa.timestamp("ns", "UTC")),
        ("value", pa.float64()),
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
        else _column(stored.column(field.name), field.type)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def _column(stored: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    column = stored.cast(wanted)
    if pa.types.is_string(wanted):
        absent = pc.equal(column, "")
    elif pa.types.is_int32(wanted):
        absent = pc.equal(column, -1)
    else:
        return column
    return pc.if_else(absent, pa.scalar(None, wanted), column)


def select(
    metrics: pa.Table, *, name: str | None, phase: str | None, split: str | None
) -> pa.Table:
    """The rows of the series that have all of the labels that are given."""
    for column, wanted in (("name", name), ("phase", phase), ("split", split)):
        if wanted is not None:
            metrics = metrics.filter(pc.equal(metrics.column(column), wanted))
    return metrics


def last_values(metrics: pa.Table) -> pa.Table:
    """One row for each series, in the order in which they first occur: its last value.

    Where a series has values of whole epochs or phases, it is the last of those.
    """
    numbered = metrics.append_column("row", pa.array(range(metrics.num_rows), pa.int64()))
    last = _last_rows(numbered.filter(pc.is_null(numbered.column("batch"))))
    of_batches = _last_rows(numbered)
    known = set(map(tuple, (row[:-1] for row in last)))
    rows = sorted(
        [*last, *(row for row in of_batches if row[:-1] not in known)], key=lambda r: r[-1]
    )
    return metrics.take(pa.array([row[-1] for row in rows], pa.int64()))


def _last_rows(numbered: pa.Table) -> list[tuple[str | int | None, ...]]:
    grouped = numbered.group_by(SERIES, use_threads=False).aggregate([("row", "max")])
    columns = [grouped.column(name).to_pylist() for name in [*SERIES, "row_max"]]
    return list(zip(*columns, strict=True))
