"""Tensors and arrays by name as `.safetensors` files. Its library writes memory as it lies and wants it plain."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

METADATA = "__metadata__"


def write_tensors(path: Path, values: Mapping[str, Any]) -> None:
    """Write torch tensors, and numpy arrays among them.

    Raises:
        TypeError: the format has no such item type, or a tensor is not a plain one.
        ValueError: a name is the format's own.
        OSError: the file could not be written.
    """
    from safetensors.torch import save, save_file

    tensors: dict[str, Any] = {}
    memory = set()
    for name, value in values.items():
        tensor, address = _plain(name, value)
        if address in memory:  # as tied weights are; each name gets numbers of its own
            tensor = tensor.clone()
        memory.add(address)
        with _checked(name, tensor.dtype):
            save({name: tensor.flatten()[:0]})
        tensors[name] = tensor
    _write(path, lambda: save_file(tensors, path, {"format": "pt"}))


def write_arrays(path: Path, values: Mapping[str, NDArray[Any]]) -> None:
    """As `write_tensors`, for numpy arrays alone."""
    from safetensors.numpy import save, save_file

    arrays = {name: np.asarray(array, order="C") for name, array in values.items()}
    for name, array in arrays.items():
        with _checked(name, array.dtype):
            save({name: array.ravel()[:0]})
    _write(path, lambda: save_file(arrays, path, {"format": "np"}))


def _plain(name: str, value: Any) -> tuple[Any, int]:
    """A dense, contiguous tensor on the CPU, and the address of its memory."""
    torch: Any = sys.modules["torch"]
    try:
        if isinstance(value, np.ndarray):
            native = np.array(value, value.dtype.newbyteorder("="), order="C")
            tensor = torch.from_numpy(native)
        else:
            tensor = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
        return tensor, tensor.untyped_storage().data_ptr()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"`{name}` is no plain tensor: {error}\n"
            "hint: of a sparse or nested tensor, store its parts, or what `.to_dense()` gives"
        ) from error


@contextmanager
def _checked(name: str, dtype: Any) -> Iterator[None]:
    """Whether the library takes a name and item type, which an empty tensor shows before there is a file."""
    if name == METADATA:
        raise ValueError(f"`{METADATA}` is a name of the format's own")
    try:
        yield
    except (KeyError, SafetensorError) as error:
        raise TypeError(
            f"`{name}`: a `.safetensors` file has no item type {dtype}\n"
            "hint: store complex numbers as `view_as_real` gives them, quantized ones as `dequantize` does"
        ) from error


def _write(path: Path, save: Callable[[], None]) -> None:
    path.touch()
    mode = path.stat().st_mode
    try:
        save()
    except SafetensorError as error:  # values were checked: what is left are errors of the system
        raise OSError(str(error)) from error
    path.chmod(mode)  # the library replaces the file by one that only its owner may read
