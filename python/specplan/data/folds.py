"""Cutting rows into the folds of a cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from specplan._native import Keys


def fold_size(rows: int, n: int, index: int) -> int:
    """Rows of part `index` of `n`: the first parts have one more where the rows do not divide."""
    return rows // n + (index < rows % n)


def part_sizes(rows: int, n: int, index: int, *, ordered: bool) -> tuple[int, int]:
    """Rows that fold `index` of `n` learns from, and rows that it is measured on."""
    if ordered:
        later = rows // (n + 1)
        return rows - (n - index) * later, later
    left_out = fold_size(rows, n, index)
    return rows - left_out, left_out


def ordered_parts(pool: NDArray[np.int64], n: int) -> list[NDArray[np.int64]]:
    """The `n + 1` parts of `pool` in ascending order; of the first no fold is measured."""
    import numpy as np

    order = np.sort(pool)
    starts = [part_sizes(len(order), n, index, ordered=True)[0] for index in range(n)]
    return np.split(order, starts)


def fold_parts(
    pool: NDArray[np.int64],
    n: int,
    seed: int | None,
    *,
    groups: Keys | None = None,
    strata: Keys | None = None,
) -> list[NDArray[np.int64]]:
    """Row numbers of the `n` parts of `pool`, each of which is left out once.

    `pool` in ascending order, shuffled by `numpy.random.default_rng(seed)` where there is a seed, is cut
    consecutively. With `groups` or `strata`, which are keys of the whole table, rows are dealt out as
    `specplan.data.split` does it for equal shares. There are at least `n` rows, `n` groups, or `n` rows in
    each stratum.
    """
    import numpy as np

    from specplan._native import Division
    from specplan.data.split import group_cells, stratum_cells

    order = np.sort(pool)
    keys = groups or strata
    if keys is not None:
        keys = keys.among(order)
        shares = [1 / n] * n
        cells = (
            group_cells(shares, keys.counts, seed) if groups else stratum_cells(shares, keys.counts)
        )
        division = Division(len(order), cells, n, keys=keys, seed=seed)
        return [order[division.split(index)] for index in range(n)]
    if seed is not None:
        np.random.default_rng(seed).shuffle(order)
    parts = []
    for index in range(n):
        start = index * (len(order) // n) + min(index, len(order) % n)
        parts.append(order[start : start + fold_size(len(order), n, index)])
    return parts
