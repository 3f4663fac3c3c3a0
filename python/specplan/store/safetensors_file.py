"""Tensors by name in the open format of https://github.com/huggingface/safetensors, without a copy of theirs."""

from __future__ import annotations

import json
import sys
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "bfloat16": "BF16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "complex64": "C64",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
}
"""The format's name of each item type, by that of numpy and torch."""

METADATA = "__metadata__"
_ALIGNMENT = 8


def write_safetensors(file: IO[bytes], tensors: Mapping[str, Any]) -> None:
    """Write torch tensors and numpy arrays by name.

    Raises:
        TypeError: the format has no such item type, or a tensor is not a plain one.
        ValueError: a name is the format's own.
    """
    if METADATA in tensors:
        raise ValueError(f"`{METADATA}` is a name of the format's own")
    rows = {name: _bytes_of(name, tensor) for name, tensor in tensors.items()}
    # Large items first, so that every tensor is aligned.
    names = sorted(tensors, key=lambda name: (-_item_bytes(tensors[name]), name))
    header: dict[str, Any] = {METADATA: {"format": "pt"}}
    position = 0
    for name in names:
        end = position + rows[name].nbytes
        header[name] = {
            "dtype": DTYPES[_dtype(tensors[name])],
            "shape": list(tensors[name].shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in names:
        file.write(rows[name].data)


def _bytes_of(name: str, tensor: Any) -> NDArray[np.uint8]:
    dtype = _dtype(tensor)
    if dtype not in DTYPES:
        raise TypeError(f"`{name}`: a `.safetensors` file has no item type {dtype}")
    if isinstance(tensor, np.ndarray):
        plain = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
        return np.ascontiguousarray(plain).reshape(-1).view(np.uint8)
    torch: Any = sys.modules["torch"]
    try:
        plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        view: NDArray[np.uint8] = plain.reshape(-1).view(torch.uint8).numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise TypeError(f"`{name}` is no plain tensor: {error}") from error
    return view


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype.name if isinstance(tensor, np.ndarray) else tensor.dtype).removeprefix(
        "torch."
    )


def _item_bytes(tensor: Any) -> int:
    return int(tensor.itemsize)


def read_header(content: bytes | bytearray) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """Item type, shape, first byte and end of each tensor of a file.

    Raises:
        ValueError: the content is no such file.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    if len(content) < 8 or start > len(content):
        raise ValueError("the header is cut short")
    header = json.loads(content[8:start])
    dtypes = {name: dtype for dtype, name in DTYPES.items()}
    found = {}
    for name, entry in header.items():
        if name == METADATA:
            continue
        dtype, shape = dtypes[entry["dtype"]], tuple(entry["shape"])
        first, end = (start + offset for offset in entry["data_offsets"])
        if not start <= first <= end <= len(content):
            raise ValueError(f"`{name}` lies outside the file")
        found[name] = (dtype, shape, first, end)
    return found
