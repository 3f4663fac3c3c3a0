from __future__ import annotations

import numpy as np
import pytest
import torch

from specplan.run.batches import batches


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 1000, 20_000])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 256])
def test_batches_are_what_indexing_gives(rows: int, batch_size: int) -> None:
    columns = [torch.randn(rows, 3, 4), torch.arange(rows)]
    order = np.random.default_rng(0).permutation(rows)
    expected = [order[start : start + batch_size] for start in range(0, rows, batch_size)]
    found = list(batches(columns, order, batch_size))
    assert len(found) == len(expected)
    for (values, numbers), positions in zip(found, expected, strict=True):
        assert torch.equal(values, columns[0][torch.from_numpy(positions)])
        assert numbers.tolist() == positions.tolist()


def test_without_positions_batches_are_views_in_order() -> None:
    column = torch.arange(10)
    found = [batch for (batch,) in batches([column], None, 4)]
    assert [batch.tolist() for batch in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert found[1].data_ptr() == column[4:].data_ptr()


def test_batches_of_a_block_are_aligned() -> None:
    columns = [torch.randn(1000, 10)]
    order = np.random.default_rng(0).permutation(1000)
    assert all(batch.data_ptr() % 64 == 0 for (batch,) in batches(columns, order, 32))
    assert all(batch.data_ptr() % 64 == 0 for (batch,) in batches(columns, order, 7))


@pytest.mark.parametrize("start", [0, 1, 9, 31])
def test_later_batches_are_the_same_alone(start: int) -> None:
    columns = [torch.randn(1000, 10), torch.randn(1000, 16)]
    order = np.random.default_rng(0).permutation(1000)
    for positions in (order, None):
        whole = list(batches(columns, positions, 32))[start:]
        for ours, theirs in zip(batches(columns, positions, 32, start), whole, strict=True):
            assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
