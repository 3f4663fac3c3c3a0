"""A few rows of the data, for what is tried before a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.arrow_columns import read_first
from specplan.data.table import Table
from specplan.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from specplan.plan.model import Column, Shape
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.data import Table as Stored

LOOKED_AT = 4096
"""Rows among which those are chosen that a model is tried with."""
_CHOSEN = 3


def few_rows(
    known: FeatureSet, columns: Sequence[str], *, dtype: str, shape: Shape
) -> NDArray[Any] | None:
    """Three rows of columns as a node reads them; None where they cannot be read, or scalers make them.

    They are the first, and those with the largest and the smallest value among the first, which a model
    that looks its inputs up in a table is most likely to miss.
    """
    if known.table is None or any(name in known.scaled for name in columns):
        return None
    rows = first_rows(known.table, known.columns, columns, LOOKED_AT)
    if rows is None:
        return None
    try:
        table = Table(len(next(iter(rows.values()))), rows)
        whole = table.read(columns, None, dtype=dtype, shape=shape)
    except (DataError, ValueError):
        return None  # what is wrong with these values is said where the rows are looked at
    flat = whole.reshape(len(whole), -1)
    order = [0, int(flat.max(axis=1).argmax()), int(flat.min(axis=1).argmin()), *range(1, _CHOSEN)]
    chosen = list(dict.fromkeys(each for each in order if each < len(whole)))[:_CHOSEN]
    return np.ascontiguousarray(whole[np.resize(chosen, _CHOSEN)])


def first_rows(
    table: Stored, known: Mapping[str, Column | None], columns: Sequence[str], count: int
) -> dict[str, NDArray[Any]] | None:
    """The first rows of some of the `known` columns of a table; None where they cannot be read."""
    held = [(name, known.get(name)) for name in columns]
    if not table.header.rows:
        return None
    if table.file is None:
        return {name: np.asarray(table.arrays[name])[:count] for name in columns}
    shapes = {name: column.shape for name, column in held if column is not None}
    if len(shapes) < len(held):
        return None
    assert table.source.use != "memory"
    try:
        return read_first(table.file, table.source.use, shapes, count)
    except DataError:
        return None
