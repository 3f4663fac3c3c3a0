"""In which order, and how many at a time, the rows of a split are read."""

from __future__ import annotations

from specplan.spec.arguments import written

__all__ = ["SimpleSampler"]


class SimpleSampler:
    """Batches of consecutive rows, in the order of the split or shuffled.

    Args:
        batch_size: rows in a batch.
        shuffle: whether the rows are shuffled.
        drop_last: whether a last batch with fewer rows is left out.
        seed: seed of the shuffle; without it, one is derived from the seed of the run.
        reshuffle: whether each epoch has its own order; False repeats
            `numpy.random.default_rng(seed).permutation(rows)` in every epoch.

    Raises:
        ValueError: an argument has a value that is not allowed.
    """

    def __init__(
        self,
        batch_size: int = 1,
        shuffle: bool = False,  # noqa: FBT001, FBT002 -- as documented
        drop_last: bool = False,  # noqa: FBT001, FBT002
        seed: int | None = None,
        reshuffle: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        self.component = written(
            "sampler",
            "simple",
            {
                "batch_size": batch_size,
                "shuffle": shuffle,
                "drop_last": drop_last,
                "seed": seed,
                "reshuffle": reshuffle,
            },
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SimpleSampler) and self.component == other.component

    def __hash__(self) -> int:
        return hash(tuple(self.component.items()))

    def __repr__(self) -> str:
        arguments = {key: value for key, value in self.component.items() if key != "use"}
        return f"SimpleSampler({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
