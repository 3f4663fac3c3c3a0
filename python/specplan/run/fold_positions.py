"""The rows of a split, as phases inside a fold see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from specplan.data.folds import fold_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.data.table import Table
    from specplan.plan.model import Data, Fold


def positions_in(data: Data, table: Table, fold: Fold | None, name: str) -> NDArray[np.int64]:
    """The row numbers of split `name` inside `fold`, outside of all folds for None."""
    if fold is None:
        return table.splits[name]
    outside = None if fold.within is None else data.folds[fold.within]
    if name not in (fold.train.name, fold.val.name):
        return positions_in(data, table, outside, name)
    pooled = [positions_in(data, table, outside, other) for other in fold.of]
    pool = np.concatenate(pooled) if pooled else np.arange(table.rows)
    train, val = fold_rows(pool, fold.n, fold.index, fold.seed)
    return val if name == fold.val.name else train
