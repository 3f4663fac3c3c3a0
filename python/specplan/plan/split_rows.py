"""Which rows a split has, for phases inside folds and outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.data.folds import fold_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from specplan.plan.model import Fold


def rows_of_split(
    folds: Mapping[str, Fold],
    fold: Fold | None,
    name: str,
    splits: Mapping[str, NDArray[np.int64]],
    rows: int,
) -> NDArray[np.int64]:
    """Row numbers of the split `name` as phases inside `fold` see it, in its order.

    `splits` are those outside of all folds, of a FeatureSet of so many rows.
    """
    import numpy as np

    if fold is None:
        return splits[name]
    outside = None if fold.within is None else folds[fold.within]
    if name not in (fold.train.name, fold.val.name):
        return rows_of_split(folds, outside, name, splits, rows)
    pooled = [rows_of_split(folds, outside, other, splits, rows) for other in fold.of]
    pool = np.concatenate(pooled) if pooled else np.arange(rows)
    train, val = fold_rows(pool, fold.n, fold.index, fold.seed)
    return val if name == fold.val.name else train
