"""torch tensors over memory that the record store hands out as numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def as_tensor(array: NDArray[Any], dtype: torch.dtype) -> torch.Tensor:
    """A tensor on the memory of a writable array.

    numpy has fewer item types than torch. Of those that it lacks the array has the bits, and of half
    complex numbers both parts.
    """
    tensor = torch.from_numpy(array)
    if dtype == torch.complex32:
        return torch.view_as_complex(tensor)
    return tensor.view(dtype)


def as_recorded(array: NDArray[Any], dtype: str) -> torch.Tensor:
    """A tensor on the memory of a writable array of rows, of the item type that their channel names."""
    return as_tensor(array, getattr(torch, dtype))


def joined(batches: Sequence[torch.Tensor]) -> torch.Tensor:
    """The rows of several batches in one tensor."""
    return torch.cat(list(batches))
