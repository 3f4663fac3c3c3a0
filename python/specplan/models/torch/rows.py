"""Between the shape of a row and the flat rows that linear layers read and write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    Shape = tuple[int, ...]


class ViewRows(nn.Module):
    """Views each row as `shape`, which has as many elements."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, rows: Tensor) -> Tensor:
        return rows.reshape(len(rows), *self.shape)


def flattened(shape: Shape) -> list[nn.Module]:
    """What makes rows of `shape` flat: nothing where they are already."""
    return [] if len(shape) == 1 else [nn.Flatten() if shape else ViewRows((1,))]


def viewed(shape: Shape) -> list[nn.Module]:
    """What views flat rows as `shape`: nothing where they are already."""
    return [] if len(shape) == 1 else [ViewRows(shape)]
