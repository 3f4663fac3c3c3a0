"""One phase as a table with one row for each sample, joined from its channels."""

from __future__ import annotations

import functools
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
FIXED = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("phase", pa.string(), nullable=False),
        pa.field("epoch", pa.int32()),
        pa.field("batch", pa.int32()),
        pa.field(SAMPLE_ID, pa.int64()),
    ]
)
Index = dict[str, "NDArray[np.int64]"]


def read_execution(
    channels: Sequence[TensorReader], *, run_id: str, phase: str, kept: int | None
) -> pa.Table:
    """The batches that every channel of the phase has, as `export_execution` would write them.

    Args:
        channels: those of the phase, at least one.
        kept: the only epoch to read; None for all.
    """
    ordered = sorted(channels, key=lambda channel: channel.field != SAMPLE_ID)
    indexes = [channel.index() for channel in ordered]
    positions = _shared_batches(indexes)
    if kept is not None:
        of_kept = indexes[0]["epoch"][positions[0]] == kept
        positions = [own[of_kept] for own in positions]
    epochs, batches, rows = (indexes[0][name][positions[0]] for name in ("epoch", "batch", "rows"))
    count = int(rows.sum())
    columns = [
        read_column(channel, index["row_start"][own], index["rows"][own])
        for channel, index, own in zip(ordered, indexes, positions, strict=True)
    ]
    if ordered[0].field == SAMPLE_ID:
        (_, sample_ids), *columns = columns
    else:
        sample_ids = pa.nulls(count, pa.int64())
    fixed = [
        pa.repeat(pa.scalar(run_id), count),
        pa.repeat(pa.scalar(phase), count),
        _number(epochs, rows),
        _number(batches, rows),
        sample_ids,
    ]
    schema = pa.schema([*FIXED, *(field for field, _ in columns)])
    return pa.table([*fixed, *(values for _, values in columns)], schema=schema)


def column_name(channel: TensorReader) -> str:
    """Name of a channel's column in the table."""
    if channel.role == "default":
        return f"{channel.node}.{channel.field}"
    return f"{channel.node}.{channel.role}.{channel.field}"


def _shared_batches(indexes: Sequence[Index]) -> list[NDArray[np.int64]]:
    """For each channel, where the batches stand that all of them have, in the order of the first.

    A live run is a few batches ahead in some of its channels. Of a batch that was recorded again,
    the last one counts.
    """
    found = [_by_key(index) for index in indexes]
    keys: NDArray[np.int64] = functools.reduce(np.intersect1d, (keys for keys, _ in found))
    first_keys, first_positions = found[0]
    keys = keys[np.argsort(first_positions[np.searchsorted(first_keys, keys)])]
    return [positions[np.searchsorted(own, keys)] for own, positions in found]


def _by_key(index: Index) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    keys = (index["epoch"] << 32) + index["batch"]
    unique, from_the_end = np.unique(keys[::-1], return_index=True)
    return unique, len(keys) - 1 - from_the_end


def _number(of_batch: NDArray[np.int64], rows: NDArray[np.int64]) -> pa.Array:
    numbers = np.repeat(of_batch, rows).astype(np.int32)
    return pa.array(numbers, mask=numbers < 0)


def read_column(
    channel: TensorReader, starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[pa.Field, pa.ChunkedArray]:
    """The rows of some batches, which alias the files where the batches follow each other there.

    Args:
        channel: what was recorded.
        starts: row of the channel at which each batch starts.
        rows: how many rows each batch has.
    """
    stored = read_rows(channel.files())
    if stored is None:
        field = _field(channel)
        return field, pa.chunked_array([], field.type)
    field, values = stored.schema.field(0), stored.column(0)
    if channel.dtype == "bool":
        # Files hold a byte for each, so that arrays can alias them; tables have a type for it.
        item = pa.field("item", pa.bool_(), nullable=False)
        kind = pa.list_(item, field.type.list_size) if channel.shape else pa.bool_()
        field, values = field.with_type(kind), values.cast(kind)
    field = field.with_name(column_name(channel))
    if np.array_equal(starts[1:], starts[:-1] + rows[:-1]):
        first = int(starts[0]) if len(starts) else 0
        return field, values.slice(first, int(rows.sum()))
    ends = np.cumsum(rows)
    row_numbers = np.repeat(starts - (ends - rows), rows) + np.arange(int(rows.sum()))
    return field, values.take(pa.array(row_numbers))


def _field(channel: TensorReader) -> pa.Field:
    """The field of a channel that has no file yet."""
    item = pa.from_numpy_dtype(channel.dtype)
    kind = pa.list_(item, math.prod(channel.shape)) if channel.shape else item
    return pa.field(column_name(channel), kind)
