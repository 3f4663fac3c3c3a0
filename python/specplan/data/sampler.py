"""In which order the rows of a split are read. A pure function of seed and epoch: nothing is replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.plan.model import Sampler


def epoch_positions(sampler: Sampler, rows: int, epoch: int) -> NDArray[np.int64] | None:
    """Positions within the split in the order of one epoch; None where that is simply all of them in order.

    With `drop_last` the rows of a last short batch are left out.
    """
    arguments = sampler.component.args
    kept = rows - rows % arguments["batch_size"] if arguments["drop_last"] else rows
    if arguments["shuffle"]:
        seed = [sampler.seed, epoch] if arguments["reshuffle"] else sampler.seed
        return np.random.default_rng(seed).permutation(rows)[:kept]
    return None if kept == rows else np.arange(kept)
