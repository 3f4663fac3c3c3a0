"""Batches of columns that are in memory."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

_BLOCK_BYTES = 1 << 20
_BLOCK_BATCHES = 256
_ALIGNMENT = 64


def batches(
    columns: Sequence[Tensor],
    positions: NDArray[np.int64] | None,
    sizes: int | Sequence[int],
    start: int = 0,
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of all columns in the order of `positions`, from number `start` on.

    `sizes` are rows of every batch, of which the last may have fewer, or of each; None for `positions` is
    the order of the columns. Gathering many small batches at once costs a fraction of gathering each; the
    batches are views.
    """
    if not isinstance(sizes, int):
        assert positions is not None
        rows = _at(positions, columns).split(list(sizes))
        return (
            tuple(column.index_select(0, block) for column in columns) for block in rows[start:]
        )
    first = start * sizes
    if positions is None:
        return zip(*(torch.split(column[first:], sizes) for column in columns), strict=True)
    blocks = torch.split(_at(positions, columns)[first:], sizes * _block(columns, sizes))
    return chain.from_iterable(
        zip(
            *(torch.split(column.index_select(0, block), sizes) for column in columns),
            strict=True,
        )
        for block in blocks
    )


def _at(positions: NDArray[np.int64], columns: Sequence[Tensor]) -> Tensor:
    """The positions where the columns are."""
    order = torch.from_numpy(positions)
    return order.to(columns[0].device) if columns else order


def _block(columns: Sequence[Tensor], batch_size: int) -> int:
    """How many batches to gather at once: what fits into the cache of a core."""
    sizes = [column[:1].nbytes * batch_size for column in columns]
    # Vectorised kernels may add in another order where memory is not aligned, and a batch that is
    # gathered alone is aligned. A batch has the same bits however it was gathered.
    if any(size % _ALIGNMENT for size in sizes):
        return 1
    return max(1, min(_BLOCK_BATCHES, _BLOCK_BYTES // max(1, sum(sizes))))
