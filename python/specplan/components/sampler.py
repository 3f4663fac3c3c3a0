"""In which order, and how many at a time, the rows of a split are read."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from specplan.components.component import Component, Positive


class Simple(Component, frozen=True, tag="simple"):
    """Batches of consecutive rows, in the order of the split or shuffled."""

    batch_size: Annotated[Positive, Meta(description="Rows in a batch.", examples=[32])] = 1
    shuffle: Annotated[bool, Meta(description="Whether the rows are shuffled.")] = False
    drop_last: Annotated[
        bool, Meta(description="Whether a last batch with fewer rows is left out.")
    ] = False
    seed: Annotated[
        int | None,
        Meta(
            description="Seed of the shuffle; without it, one derived from `run.seed`.",
            examples=[42],
        ),
    ] = None
    reshuffle: Annotated[
        bool,
        Meta(
            description="Whether each epoch has its own order, `default_rng([seed, epoch])`; "
            "false repeats `default_rng(seed)` in every epoch."
        ),
    ] = True
