"""What rows of a table in memory have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan._native import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable

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
