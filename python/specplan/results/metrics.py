"""The long table of metrics, live or finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from specplan.results.arrow_arrays import null_where_equal, number, numbers, repeated, text
from specplan.results.arrow_files import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from specplan._native import StoreReader

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
PLACES = ["epoch", "batch", "step", "value"]


def read_metrics(store: StoreReader, *, run_id: str, first: int = 0) -> pa.Table:
    """The metrics of a store from row `first` on, as `export_metrics` would write them."""
    stored = read_rows(store.metric_files(), first)
    if stored is None:
        return SCHEMA.empty_table()
    derived = {
        "run_id": repeated(text(run_id), stored.num_rows),
        "session": numbers(_sessions(stored.column("sequence"), store.sessions)),
    }
    columns = [
        derived[field.name] if field.name in derived else _column(stored.column(field.name), field)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def last_metric(store: StoreReader) -> int:
    """The sequence number of the last value; 0 where there is none."""
    stored = read_rows(store.metric_files()[-1:])
    return 0 if stored is None or not stored.num_rows else stored.column("sequence")[-1].as_py()


def _sessions(
    sequences: pa.ChunkedArray, sessions: Sequence[Mapping[str, Any]]
) -> NDArray[np.int32]:
    """The session that wrote each record."""
    firsts = np.array([session["first_sequence"] for session in sessions], np.uint64)
    of_records = (
        np.searchsorted(firsts, np.from_dlpack(sequences.combine_chunks()), side="right") - 1
    )
    return np.array([session["session"] for session in sessions], np.int32)[of_records]


def _column(stored: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    column = stored.cast(field.type)
    if not field.nullable:
        return column
    absent = text("") if pa.types.is_string(field.type) else number(-1, "int32")
    return null_where_equal(column, absent)


def select(metrics: pa.Table, column: str, label: str) -> pa.Table:
    """The rows of the series that have a label."""
    return metrics.filter(pc.is_in(metrics.column(column), text(label)))


def without_rows(metrics: pa.Table, names: Iterable[str | None]) -> pa.Table:
    """Values that are in no row that a program logged under one of the names, None for the rows without one."""
    named = pa.array(list(names), pa.string())
    of_rows = pc.and_(
        pc.and_(pc.equal(metrics.column("phase"), ""), pc.is_null(metrics.column("node"))),
        pc.is_in(metrics.column("split"), named),
    )
    return metrics.filter(pc.invert(of_rows))


def of_batches(metrics: pa.Table, names: Iterable[str]) -> pa.Table:
    """The rows of some metrics that are values of single batches."""
    wanted = numbers(np.zeros(metrics.num_rows, np.uint8)).cast(pa.bool_())
    for name in names:
        wanted = pc.or_(wanted, pc.is_in(metrics.column("name"), text(name)))
    return metrics.filter(pc.and_(wanted, pc.is_valid(metrics.column("batch"))))


def values_of(metrics: pa.Table, column: str) -> list[Any]:
    """The different values of a column, null among them, in the order in which they first occur."""
    values: list[Any] = pc.unique(metrics.column(column)).to_pylist()
    return values


def labels_of(metrics: pa.Table, column: str) -> list[str]:
    """The labels that there are, without null, in the order in which they first occur."""
    return [label for label in values_of(metrics, column) if label is not None]


def last_values(metrics: pa.Table, kept_epochs: Mapping[str, int]) -> pa.Table:
    """One row for each series, its last value; rows keep their order.

    Where a series has values of whole epochs or phases, it is the last of those; and of those the
    last one that is not later than the kept epoch of the phase, if there is one.
    """
    of_whole = np.from_dlpack(metrics.column("batch").is_null().combine_chunks().cast(pa.int8()))
    order = np.argsort(2 * of_whole - _is_later(metrics, kept_epochs), kind="stable")[::-1]
    _, last = np.unique(_series_keys(metrics)[order], return_index=True)
    return metrics.take(numbers(np.sort(order[last])))


def last_epochs(metrics: pa.Table) -> dict[str, int]:
    """The latest epoch that each phase has values of, by the path of the phase."""
    latest = {}
    for phase in labels_of(metrics, "phase"):
        latest[phase] = pc.max(select(metrics, "phase", phase).column("epoch")).as_py()
    return {phase: epoch for phase, epoch in latest.items() if epoch is not None}


def _is_later(metrics: pa.Table, kept_epochs: Mapping[str, int]) -> NDArray[np.int8]:
    """1 for each row of an epoch after the one whose weights its phase left behind."""
    later = np.zeros(metrics.num_rows, np.int8)
    for phase, kept in kept_epochs.items():
        of_phase = pc.is_in(metrics.column("phase"), text(phase))
        rows = pc.and_(of_phase, pc.greater(metrics.column("epoch"), number(kept, "int32")[0]))
        later[np.from_dlpack(pc.indices_nonzero(rows))] = 1
    return later


def split_series(metrics: pa.Table) -> list[tuple[dict[str, str | None], pa.Table]]:
    """The labels of each series, in the order of the first of each, and where its values belong: epoch, batch, step, value."""
    keys = _series_keys(metrics)
    found, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
    order = np.argsort(keys, kind="stable")
    ends = np.cumsum(counts)
    places = metrics.select(PLACES)
    labels = metrics.select(SERIES).take(numbers(firsts)).to_pylist()
    return [
        (labels[at], places.take(numbers(order[ends[at] - counts[at] : ends[at]])))
        for at in np.argsort(firsts)
        if len(found)
    ]


def _series_keys(metrics: pa.Table) -> NDArray[np.int64]:
    """A number for each row, equal for the rows of one series."""
    keys = np.zeros(metrics.num_rows, np.int64)
    for name in SERIES:
        labels = metrics.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
        keys = keys * len(labels.dictionary) + np.from_dlpack(labels.indices)
    return keys
