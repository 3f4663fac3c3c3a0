"""One phase as a table with one row for each sample, joined from its channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from specplan.results.arrow_files import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from specplan._native import TensorReader

SAMPLE_ID = "sample_id"
Index = dict[str, "NDArray[np.int64]"]


def read_execution(
    channels: Sequence[TensorReader], *, run_id: str, phase: str, kept: int | None
) -> pa.Table:
    """The batches that every channel of the phase has, as `export_execution` would write them.

    Args:
        channels: those of the phase, at least one.
        kept: the only epoch to read; None for all.
    """
    indexes = [channel.index() for channel in channels]
    shared = _shared_batches(indexes)
    if kept is not None:
        of_kept = indexes[0]["epoch"][shared[0]] == kept
        shared = [positions[of_kept] for positions in shared]
    epochs, batches, rows = (
        _batches(indexes[0], shared[0], name) for name in ("epoch", "batch", "rows")
    )
    count = int(rows.sum())
    columns = {
        "run_id": pa.repeat(pa.scalar(run_id), count),
        "phase": pa.repeat(pa.scalar(phase), count),
        "epoch": pa.array(np.repeat(epochs, rows).astype(np.int32)),
        "batch": pa.array(np.repeat(batches, rows).astype(np.int32)),
    }
    fields = [pa.field(name, column.type) for name, column in columns.items()]
    arrays: list[pa.Array | pa.ChunkedArray] = list(columns.values())
    ordered = sorted(
        zip(channels, indexes, shared, strict=True), key=lambda item: item[0].field != SAMPLE_ID
    )
    for channel, index, positions in ordered:
        field, values = _values(channel, index, positions)
        fields.append(field)
        arrays.append(values)
    return pa.table(arrays, schema=pa.schema(fields))


def column_name(channel: TensorReader) -> str:
    """Name of a channel's column in the table."""
    if channel.field == SAMPLE_ID:
        return SAMPLE_ID
    if channel.role == "default":
        return f"{channel.node}.{channel.field}"
    return f"{channel.node}.{channel.role}.{channel.field}"


def _shared_batches(indexes: Sequence[Index]) -> list[NDArray[np.int64]]:
    """For each channel, where the batches stand that all channels have, in the same order."""
    keys = [index["epoch"] << 32 | index["batch"] & 0xFFFFFFFF for index in indexes]
    common = keys[0]
    for other in keys[1:]:
        # A live run is at most a few batches ahead in some of its channels.
        length = min(len(common), len(other))
        if np.array_equal(common[:length], other[:length]):
            common = common[:length]
        else:
            common = common[np.isin(common, other)]
    positions = []
    for own in keys:
        if np.array_equal(own[: len(common)], common):
            positions.append(np.arange(len(common)))
        else:
            order = np.argsort(own, kind="stable")
            positions.append(order[np.searchsorted(own, common, sorter=order)])
    return positions


def _batches(index: Index, positions: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    return index[name][positions]


def _values(
    channel: TensorReader, index: Index, positions: NDArray[np.int64]
) -> tuple[pa.Field, pa.ChunkedArray]:
    stored = read_rows(channel.files())
    if stored is None:
        field = _field(channel)
        return field, pa.chunked_array([], field.type)
    field, values = stored.schema.field(0), stored.column(0)
    starts, rows = index["row_start"][positions], index["rows"][positions]
    if _is_prefix(starts, rows):
        values = values.slice(0, int(rows.sum()))
    else:
        values = values.take(pa.array(_row_numbers(starts, rows)))
    return field.with_name(column_name(channel)), values


def _field(channel: TensorReader) -> pa.Field:
    """The field of a channel that has no file yet."""
    item = pa.uint8() if channel.dtype == "bool" else pa.from_numpy_dtype(channel.dtype)
    kind = pa.list_(item, math.prod(channel.shape)) if channel.shape else item
    return pa.field(column_name(channel), kind)


def _is_prefix(starts: NDArray[np.int64], rows: NDArray[np.int64]) -> bool:
    return bool(np.array_equal(starts, np.concatenate([[0], np.cumsum(rows)[:-1]])))


def _row_numbers(starts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of the rows of batches that begin at `starts`."""
    firsts = np.repeat(starts - (np.cumsum(rows) - rows), rows)
    return firsts + np.arange(int(rows.sum()))
