"""Arrays as tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tensor_of(array: NDArray[Any]) -> torch.Tensor:
    """A copy of `array`, floats as float32, in which models compute.

    Raises:
        ValueError: it is text.
    """
    if array.dtype.kind not in "biuf":
        raise ValueError(f"a tensor holds numbers, not {array.dtype}")
    tensor = torch.tensor(array)
    return tensor.float() if tensor.is_floating_point() else tensor
