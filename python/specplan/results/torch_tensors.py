"""Files of tensors, read with torch. The one module of this folder that imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from specplan.store.safetensors_file import read_header
from specplan.store.torch_memory import as_tensor

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def as_torch(array: NDArray[Any], dtype: str) -> torch.Tensor:
    """A tensor on the memory of a writable array of recorded rows; `dtype` is that of the channel."""
    return as_tensor(array, getattr(torch, dtype))


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name, on one piece of memory.

    Raises:
        ValueError: the file is damaged.
    """
    content = bytearray(path.read_bytes())
    tensors = {}
    for name, (dtype, shape, first, end) in read_header(content).items():
        kind: torch.dtype = getattr(torch, dtype)
        if first == end:
            tensors[name] = torch.empty(shape, dtype=kind)
            continue
        bits = torch.frombuffer(content, dtype=torch.uint8, offset=first, count=end - first)
        # A file of another writer may not have aligned them.
        tensors[name] = (
            (bits if first % kind.itemsize == 0 else bits.clone()).view(kind).reshape(shape)
        )
    return tensors
