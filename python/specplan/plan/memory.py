"""The header of a table that a Python program holds, in the form of a file's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class MemoryTableError(ValueError):
    """Arrays that are no table; the message says why, `column` is the one to blame."""

    def __init__(self, message: str, column: str) -> None:
        self.column = column
        super().__init__(message)


class MemoryColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column, as `_native.ColumnHeader` describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    nulls: int | None


class MemoryHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A whole table, as `_native.TableHeader` describes it."""

    rows: int
    columns: tuple[MemoryColumn, ...]
    digest: str


def read_memory_header(columns: Mapping[str, NDArray[Any]]) -> MemoryHeader:
    """Describe `columns`; the digest covers names, dtypes, shapes and every value.

    Raises:
        MemoryTableError: the arrays differ in length, or hold something that is no table column.
    """
    from blake3 import blake3

    from specplan.data.column_array import column_array

    digest = blake3()
    headers: list[MemoryColumn] = []
    rows: int | None = None
    for name in sorted(columns):
        try:
            array = column_array(columns[name])
        except ValueError as error:
            raise MemoryTableError(f"column `{name}` {error}", name) from None
        rows = array.shape[0] if rows is None else rows
        if array.shape[0] != rows:
            message = f"column `{name}` has {array.shape[0]} rows, others have {rows}"
            raise MemoryTableError(message, name)
        dtype = _dtype(array)
        headers.append(MemoryColumn(name=name, dtype=dtype, shape=array.shape[1:], nulls=0))
        head = msgspec.json.encode([name, dtype, array.shape])
        digest.update(len(head).to_bytes(8, "little"))
        digest.update(head)
        digest.update(_bytes(array))
    return MemoryHeader(rows=rows or 0, columns=tuple(headers), digest=f"b3:{digest.hexdigest()}")


def _dtype(array: NDArray[Any]) -> str:
    return array.dtype.newbyteorder("=").name if array.dtype.kind in "biuf" else "string"


def _bytes(array: NDArray[Any]) -> bytes:
    import numpy as np

    if array.dtype.kind not in "biuf":
        return msgspec.json.encode([str(value) for value in array.flat])
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).tobytes()
