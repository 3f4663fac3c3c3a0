"""The rows of a recorded column as Arrow, as they are in the tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from specplan._native import TensorReader
from specplan.results.arrow_arrays import numbers
from specplan.results.arrow_files import read_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan._native import ChannelReader

EXPORTED = {"bool": pa.bool_(), "bfloat16": pa.float32()}
"""The types of numbers that are not as they are stored."""
BITS = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}
"""As what numbers are handed out that numpy does not have."""


def read_column(
    channel: ChannelReader, starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[pa.Field, pa.ChunkedArray]:
    """The rows of some batches, which alias the files where the batches follow each other there.

    Args:
        channel: what was recorded.
        starts: row of the channel at which each batch starts.
        rows: how many rows each batch has.
    """
    name = ".".join(
        label
        for label in (channel.node, channel.role, channel.field)
        if label not in ("", "default")
    )
    stored = read_rows(channel.files())
    if stored is None:
        field = _field(channel, name)
        return field, pa.chunked_array([], field.type)
    field, values = stored.schema.field(0).with_name(name), stored.column(0)
    if np.array_equal(starts[1:], starts[:-1] + rows[:-1]):
        values = values.slice(int(starts[0]) if len(starts) else 0, int(rows.sum()))
    else:
        ends = np.cumsum(rows)
        row_numbers = np.repeat(starts - (ends - rows), rows) + np.arange(int(rows.sum()))
        values = values.take(numbers(row_numbers))
    # Files hold bytes of bool and bits of bfloat16, so that arrays can alias them; tables have types for them.
    if channel.dtype in EXPORTED:
        field = field.with_type(_exported_type(field.type, channel.dtype))
        chunks = [_exported(chunk, channel.dtype) for chunk in values.chunks]
        values = pa.chunked_array(chunks, field.type)
    return field, values


def _exported_type(stored: pa.DataType, dtype: str) -> pa.DataType:
    if pa.types.is_struct(stored):
        data, shape = stored
        return pa.struct([data.with_type(_exported_type(data.type, dtype)), shape])
    if pa.types.is_fixed_size_list(stored):
        return pa.list_(stored.value_field.with_type(EXPORTED[dtype]), stored.list_size)
    if pa.types.is_list(stored):
        return pa.list_(stored.value_field.with_type(EXPORTED[dtype]))
    return EXPORTED[dtype]


def _exported(stored: pa.Array, dtype: str) -> pa.Array:
    kind = _exported_type(stored.type, dtype)
    if pa.types.is_struct(stored.type):
        data, shape = stored.flatten()
        return pa.StructArray.from_arrays([_exported(data, dtype), shape], fields=list(kind))
    if pa.types.is_fixed_size_list(stored.type):
        items = _exported(stored.flatten(), dtype)
        return pa.FixedSizeListArray.from_arrays(items, type=kind)
    if pa.types.is_list(stored.type):
        items = _exported(stored.values, dtype)
        return pa.ListArray.from_arrays(stored.offsets, items, type=kind)
    if dtype == "bool":
        return stored.cast(kind)
    bits = np.from_dlpack(stored).astype(np.uint32) << 16
    return numbers(bits.view(np.float32))


def _field(channel: ChannelReader, name: str) -> pa.Field:
    """The field of a channel that has no file yet, and so no row that would show its type."""
    dtype = BITS.get(channel.dtype, channel.dtype)
    if not isinstance(channel, TensorReader) or np.dtype(dtype).kind not in "biuf":
        return pa.field(name, pa.null())
    item = EXPORTED.get(channel.dtype) or pa.from_numpy_dtype(dtype)
    return pa.field(name, pa.list_(item, math.prod(channel.shape)) if channel.shape else item)
