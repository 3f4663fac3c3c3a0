"""How the rows of a FeatureSet are divided into named splits."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from specplan.components.component import Component


class RandomSplit(Component, frozen=True, tag="random"):
    """Shuffle the rows with `numpy.random.default_rng(seed)` and cut them consecutively."""

    ratios: Annotated[
        dict[str, Annotated[float, Meta(gt=0, le=1)]],
        Meta(
            min_length=1,
            description="Share of the rows in each split; the shares sum to 1. "
            "Sizes are rounded by largest remainder; the splits are cut in the order in which they are written.",
            examples=[{"train": 0.8, "test": 0.2}],
        ),
    ]
    seed: Annotated[
        int | None,
        Meta(
            description="Seed of the shuffle; without it, one derived from `run.seed`.",
            examples=[13],
        ),
    ] = None
