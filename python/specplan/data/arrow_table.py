"""Columns as an Arrow table, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from specplan.data.arrow_columns import column_to_numpy
from specplan.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def table_of(columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    """A table; rows that are arrays are lists of a fixed size."""
    return pa.table({name: _array(rows) for name, rows in columns.items()})


def columns_of(table: pa.Table, owner: str) -> dict[str, NDArray[Any]]:
    """The columns of a table, each of shape (rows, *shape of one row).

    Raises:
        ValueError: a value is null, or the rows of a column differ in shape.
    """
    try:
        return {
            name: column_to_numpy(owner, name, column, _row_shape(column))
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    except DataError as error:
        raise ValueError(error.message) from None


def _array(rows: NDArray[Any]) -> pa.Array:
    values = rows.reshape(-1)
    array = pa.array(
        values if values.dtype.kind in "biuf" else values.astype(object), from_pandas=False
    )
    for length in reversed(rows.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def _row_shape(column: pa.ChunkedArray) -> tuple[int, ...]:
    """The shape of the first row: that of every row, which is checked where they are read."""
    shape: list[int] = []
    value = column[0] if len(column) else None
    while value is not None and isinstance(
        value, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar
    ):
        if value.values is None or not len(value.values):
            break
        shape.append(len(value.values))
        value = value.values[0]
    return tuple(shape)
