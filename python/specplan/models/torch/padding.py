"""Rows that are padded at their ends before they are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    Shape = tuple[int, ...]


def padded(shapes: Sequence[Shape], axis: int) -> list[list[int]]:
    """For each value that is joined along `axis`, what its rows lack on every axis."""
    rows = [shape or (1,) for shape in shapes]
    joined = axis % len(rows[0])
    largest = [max(sizes) for sizes in zip(*rows, strict=True)]
    return [
        [0 if index == joined else largest[index] - size for index, size in enumerate(row)]
        for row in rows
    ]


def padder(lacking: list[int], mode: str, value: float) -> Callable[[Tensor], Tensor]:
    """Pads batches of rows at their ends, in a mode of `torch.nn.functional.pad`."""
    flat = [size for lack in reversed(lacking) for size in (0, lack)]

    def constant(batch: Tensor) -> Tensor:
        rows = batch[:, None] if batch.ndim == 1 else batch
        return functional.pad(rows, flat, value=value)

    def other(batch: Tensor) -> Tensor:
        # These modes want two axes before those that they pad.
        return functional.pad(batch[:, None], flat, mode=mode)[:, 0]

    if not any(lacking):
        return lambda batch: batch
    return constant if mode == "constant" else other
