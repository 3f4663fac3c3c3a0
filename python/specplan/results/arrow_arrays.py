"""Arrow arrays made from buffers.

`pyarrow.array` and `pyarrow.scalar` import pandas, which takes a second, only to see whether they
were given one of its objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numbers(values: NDArray[Any]) -> pa.Array:
    """An array that aliases `values`, without nulls."""
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def null_where_negative(values: NDArray[Any]) -> pa.Array:
    """An array that aliases `values`, with nulls for those below 0."""
    valid = np.packbits(values >= 0, bitorder="little")
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(valid), pa.py_buffer(values)])


def number(value: int, dtype: str) -> pa.Array:
    """An array of one number."""
    return numbers(np.array([value], dtype))


def text(value: str) -> pa.Array:
    """An array of one string."""
    data = value.encode()
    offsets = np.array([0, len(data)], np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), 1, buffers)


def repeated(one: pa.Array, count: int) -> pa.Array:
    """The only item of `one`, `count` times."""
    return one.take(numbers(np.zeros(count, np.int64)))
