"""Cutting rows into the folds of a cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def fold_size(rows: int, n: int, index: int) -> int:
    """Rows of part `index` of `n`: the first parts have one more where the rows do not divide."""
    return rows // n + (index < rows % n)


def fold_rows(
    pool: NDArray[np.int64], n: int, index: int, seed: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers for training and for validation in fold `index` of `n`.

    `pool` in ascending order, shuffled by `numpy.random.default_rng(seed)` where there is a seed, is cut
    consecutively. Part `index` is for validation, the others, in their order, are for training.
    """
    import numpy as np

    order = np.sort(pool)
    if seed is not None:
        np.random.default_rng(seed).shuffle(order)
    start = index * (len(order) // n) + min(index, len(order) % n)
    end = start + fold_size(len(order), n, index)
    return np.concatenate([order[:start], order[end:]]), order[start:end]
