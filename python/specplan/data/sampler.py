"""In which order the rows of a split are read. A pure function of seed and epoch: nothing is replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.components.sampler import Simple


def epoch_positions(sampler: Simple, seed: int, rows: int, epoch: int) -> NDArray[np.int64] | None:
    """Positions within the split in the order of one epoch; None where that is simply all of them in order.

    With `drop_last` the rows of a last short batch are left out.
    """
    kept = rows - rows % sampler.batch_size if sampler.drop_last else rows
    if sampler.shuffle:
        key = [seed, epoch] if sampler.reshuffle else seed
        return np.random.default_rng(key).permutation(rows)[:kept]
    return None if kept == rows else np.arange(kept)
