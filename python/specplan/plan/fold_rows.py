"""Which rows the splits of a FeatureSet have inside a fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.data.folds import fold_parts, ordered_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from specplan._native import Keys
    from specplan.plan.model import Fold


class FoldRows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a FeatureSet and its folds.

    Attributes:
        splits: rows of each split outside of folds.
        folds: by the path of the pass, as in the plan.
        keys: gives the keys that columns make of all rows.
    """

    rows: int
    splits: Mapping[str, NDArray[np.int64]]
    folds: Mapping[str, Fold]
    keys: Callable[[tuple[str, ...]], Keys]

    def positions(self, fold: Fold | None, name: str) -> NDArray[np.int64]:
        """Row numbers of a split as the phases of a fold see it; outside of folds for None."""
        if fold is None:
            return self.splits[name]
        if name not in (fold.train.name, fold.val.name):
            return self.positions(self.around(fold), name)
        import numpy as np

        parts = self.parts(fold)
        if fold.ordered:
            before, left_out = parts[: fold.index + 1], parts[fold.index + 1]
            return left_out if name == fold.val.name else np.concatenate(before)
        if name == fold.val.name:
            return parts[fold.index]
        return np.concatenate([*parts[: fold.index], *parts[fold.index + 1 :]])

    def pool(self, of: tuple[str, ...], around: Fold | None) -> NDArray[np.int64]:
        """Row numbers of splits together, or of all rows."""
        import numpy as np

        pooled = [self.positions(around, name) for name in of]
        return np.concatenate(pooled) if pooled else np.arange(self.rows)

    def parts(self, fold: Fold) -> list[NDArray[np.int64]]:
        """The parts, one of which each fold of the group leaves out; in ordered folds none leaves out the first."""
        pool = self.pool(fold.of, self.around(fold))
        if fold.ordered:
            return ordered_parts(pool, fold.n)
        return fold_parts(
            pool,
            fold.n,
            fold.seed,
            groups=self.keys(fold.group_by) if fold.group_by else None,
            strata=self.keys(fold.stratify_by) if fold.stratify_by else None,
        )

    def around(self, fold: Fold) -> Fold | None:
        """The fold that a fold is in."""
        return None if fold.within is None else self.folds[fold.within]


def outer_folds(folds: Mapping[str, Fold]) -> dict[str, Fold]:
    """The first fold of each group that is not inside another fold, by its path."""
    return {path: fold for path, fold in folds.items() if fold.within is None and fold.index == 0}
