"""Dividing rows into named splits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


def split_sizes(ratios: Mapping[str, float], rows: int) -> dict[str, int]:
    """Rows of each split, by largest remainder, in the order of `ratios`, in which they are cut.

    The sizes sum to `rows` where the ratios sum to 1; of equal remainders the first name wins.
    """
    names = list(ratios)
    exact = {name: ratios[name] * rows for name in names}
    # Rounding first keeps 0.1 * 30 = 3.0000000000000004 from being more than 3 rows.
    sizes = {name: math.floor(round(exact[name], 6)) for name in names}
    by_remainder = sorted(names, key=lambda name: -round(exact[name] - sizes[name], 6))
    for name in by_remainder[: rows - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def split_rows(sizes: Mapping[str, int], seed: int) -> dict[str, NDArray[np.int64]]:
    """Row numbers of each split: a shuffle by `numpy.random.default_rng(seed)`, cut in the order of `sizes`.

    The rows of a split keep the order of the shuffle.
    """
    import numpy as np

    order = np.arange(sum(sizes.values()), dtype=np.int64)
    np.random.default_rng(seed).shuffle(order)
    rows: dict[str, NDArray[np.int64]] = {}
    start = 0
    for name in sizes:
        rows[name] = order[start : start + sizes[name]]
        start += sizes[name]
    return rows


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
