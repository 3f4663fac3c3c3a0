"""Columns of Parquet and Arrow IPC files as numpy arrays, without a copy where the layout allows it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from specplan.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Shape = tuple[int, ...]


def read_columns(
    path: Path, format: Literal["parquet", "arrow"], shapes: Mapping[str, Shape]
) -> dict[str, NDArray[Any]]:
    """The columns named in `shapes`, each of shape (rows, *shape). Arrays may be read-only.

    Raises:
        DataError: the file is damaged, a value is null, or a row does not have the column's shape.
    """
    try:
        table = (
            _open_parquet(path, list(shapes))
            if format == "parquet"
            else _open_arrow(path, list(shapes))
        )
        return {
            name: column_to_numpy(str(path), name, table.column(name), shape)
            for name, shape in shapes.items()
        }
    except (pa.ArrowException, OSError) as exception:
        message = f"`{path}` cannot be read: {exception}"
        raise DataError(message, code="SP508") from exception


def read_first(
    path: Path, format: Literal["parquet", "arrow"], shapes: Mapping[str, Shape], count: int
) -> dict[str, NDArray[Any]]:
    """At most `count` rows from the beginning of the columns named in `shapes`; no more of the file is read.

    Raises:
        DataError: the file is damaged, a value is null, or a row does not have the column's shape.
    """
    try:
        first = (
            _first_of_parquet(path, list(shapes), count)
            if format == "parquet"
            else _open_arrow(path, list(shapes)).slice(0, count)
        )
        return {
            name: column_to_numpy(str(path), name, first.column(name), shape)
            for name, shape in shapes.items()
        }
    except (pa.ArrowException, OSError) as exception:
        message = f"`{path}` cannot be read: {exception}"
        raise DataError(message, code="SP508") from exception


def _first_of_parquet(path: Path, columns: list[str], count: int) -> pa.Table:
    with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
        batch = next(file.iter_batches(batch_size=count, columns=columns))
        return pa.Table.from_batches([batch])


def _open_parquet(path: Path, columns: list[str]) -> pa.Table:
    with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
        return file.read(columns=columns)


def _open_arrow(path: Path, columns: list[str]) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        schema = pa.ipc.open_file(source).schema
        options = pa.ipc.IpcReadOptions(included_fields=[schema.names.index(c) for c in columns])
        return pa.ipc.open_file(source, options=options).read_all()


def column_to_numpy(path: str, name: str, column: pa.ChunkedArray, shape: Shape) -> NDArray[Any]:
    """A column of a table that is at `path`, of shape (rows, *shape).

    Raises:
        DataError: a value is null, or a row has another shape.
    """
    chunk_rows = 0
    parts = []
    for chunk in column.chunks:
        parts.append(_chunk_to_numpy(path, name, chunk, shape, chunk_rows))
        chunk_rows += len(chunk)
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts)


def _chunk_to_numpy(
    path: str, name: str, chunk: pa.Array, shape: Shape, first_row: int
) -> NDArray[Any]:
    """One chunk of a column; `first_row` is the number of its first row, for messages."""
    rows = len(chunk)
    elements_per_row = 1
    nested: list[int] = []
    values = chunk
    while True:
        if values.null_count:
            row = first_row + _first_null(values) // elements_per_row
            message = f"`{path}`: column `{name}` has a null in row {row}; nulls cannot be used"
            raise DataError(message, code="SP505", column=name)
        if not _is_list(values.type):
            break
        expected = _expected_length(values, shape, nested)
        _check_lengths(path, name, values, expected, shape, first_row, elements_per_row)
        nested.append(expected)
        elements_per_row *= expected
        values = values.flatten()
    if elements_per_row != prod(shape):
        message = (
            f"`{path}`: column `{name}` has {elements_per_row} elements in a row, "
            f"the plan says shape {shape} ({prod(shape)} elements)"
        )
        raise DataError(message, code="SP507", column=name)
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    if array.dtype == object:
        array = array.astype(str)
    return array.reshape(rows, *shape)


def _is_list(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(kind) for is_kind in kinds)


def _expected_length(values: pa.Array, shape: Shape, outer: list[int]) -> int:
    """How long the lists of this level must be: the last level holds what the outer ones leave of a row."""
    if _is_list(values.type.value_type):
        if len(outer) < len(shape):
            return shape[len(outer)]
        return 1
    return prod(shape) // (prod(outer) or 1)


def _check_lengths(
    path: str,
    name: str,
    values: pa.Array,
    expected: int,
    shape: Shape,
    first_row: int,
    lists_per_row: int,
) -> None:
    if pa.types.is_fixed_size_list(values.type):
        lengths = np.full(min(1, len(values)), values.type.list_size)
    else:
        offsets = values.offsets.to_numpy(zero_copy_only=False)
        lengths = np.diff(offsets)
    wrong = np.flatnonzero(lengths != expected)
    if wrong.size:
        row = first_row + int(wrong[0]) // (lists_per_row or 1)
        message = (
            f"`{path}`: column `{name}`, row {row} has a list of {lengths[wrong[0]]} elements "
            f"where shape {shape} needs {expected}"
        )
        raise DataError(message, code="SP507", column=name)


def _first_null(values: pa.Array) -> int:
    return int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
