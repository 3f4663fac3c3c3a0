"""What rows of a table in memory have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan._native import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


def keys_of(columns: Iterable[NDArray[Any]]) -> Keys:
    """The keys that columns of text, integers or booleans make, as `read_keys` gives those of a file."""
    parts = []
    for column in columns:
        values, codes = np.unique(column, return_inverse=True)
        texts = [str(value) for value in values.tolist()]
        if values.dtype.kind == "b":
            texts = [text.lower() for text in texts]
        parts.append((codes.astype(np.uint32).tobytes(), texts))
    return Keys(parts)


def codes_of(columns: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """For each row the number of its key, from 0; equal values of all columns are one key."""
    codes = [_codes(column) for column in columns]
    if len(codes) == 1:
        return codes[0]
    return np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def _codes(column: NDArray[Any]) -> NDArray[np.int64]:
    """A row that is an array is equal to another where all of it is."""
    if column.ndim == 1:
        return np.unique(column, return_inverse=True)[1].astype(np.int64)
    rows = column.reshape(len(column), -1)
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
