"""Results as torch tensors. The one module of this folder that imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from specplan.store.safetensors_file import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def as_tensor(array: NDArray[Any], dtype: str) -> torch.Tensor:
    """A tensor on the memory of a writable array, of the item type that it had when it was recorded."""
    tensor = torch.from_numpy(array)
    wanted: torch.dtype = getattr(torch, dtype)
    # numpy has fewer types: of those that it lacks it was given the bits.
    return tensor if tensor.dtype == wanted else tensor.view(wanted)


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
