"""What a program gives for a column, as an array of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shown_dtype(dtype: np.dtype[Any]) -> str:
    """The dtype of a column for a person: that of numpy, or `text`."""
    return dtype.name if dtype.kind in "biuf" else "text"


def column_array(values: Any) -> NDArray[Any]:
    """The rows of a column, of numbers, booleans or text.

    Raises:
        ValueError: it is no such column; the message goes on from the column's name.
    """
    if np.ma.isMaskedArray(values):
        masked = np.ma.getmaskarray(values)
        rows = np.flatnonzero(masked.reshape(len(masked), -1).any(axis=1))
        if len(rows):
            said = (
                "masked values in 1 row" if len(rows) == 1 else f"masked values in {len(rows)} rows"
            )
            raise ValueError(f"has {said}, first in row {rows[0]}; fill them in or leave them out")
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError("has rows of different shapes") from None
    if array.ndim == 0:
        raise ValueError("is a single value, not an array of rows")
    if array.dtype.kind == "O":
        _check_objects(array)
    elif array.dtype.kind not in "biufUT" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
        raise ValueError(f"has items of type {array.dtype}; they can be numbers, booleans or text")
    return array


def _check_objects(array: NDArray[Any]) -> None:
    """Objects may be text, as pandas keeps it."""
    others = [
        (index, value) for index, value in enumerate(array.flat) if not isinstance(value, str)
    ]
    if not others:
        return
    # A None among numbers is what made objects of them.
    index, value = next((found for found in others if found[1] is None), others[0])
    row = index // (array.size // len(array))
    held = "None" if value is None else type(value).__name__
    raise ValueError(f"holds objects: {held} in row {row}; it can hold numbers, booleans or text")
