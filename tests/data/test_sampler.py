from __future__ import annotations

import numpy as np

from specplan.components.sampler import Simple
from specplan.data.sampler import epoch_positions


def positions(epoch: int, **arguments: object) -> list[int] | None:
    found = epoch_positions(Simple(batch_size=4, **arguments), 7, 10, epoch)  # type: ignore[arg-type]
    return None if found is None else found.tolist()


def test_each_epoch_has_its_own_order() -> None:
    for epoch in range(3):
        expected = np.random.default_rng([7, epoch]).permutation(10).tolist()
        assert positions(epoch, shuffle=True) == expected
    assert positions(0, shuffle=True) != positions(1, shuffle=True)


def test_without_reshuffling_each_epoch_has_the_same_order() -> None:
    expected = np.random.default_rng(7).permutation(10).tolist()
    assert positions(0, shuffle=True, reshuffle=False) == expected
    assert positions(5, shuffle=True, reshuffle=False) == expected


def test_without_shuffling_the_order_is_that_of_the_split() -> None:
    assert positions(0) is None


def test_a_short_batch_can_be_dropped() -> None:
    assert positions(0, drop_last=True) == list(range(8))
    assert positions(1, shuffle=True, drop_last=True) == positions(1, shuffle=True)[:8]  # type: ignore[index]
