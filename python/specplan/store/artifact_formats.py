"""In which open format a value is stored. Nothing is pickled: reading a pickle runs what it holds."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.store.artifact_tensors import write_arrays, write_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

Write = Callable[[Path], object]

OTHER = "application/octet-stream"
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown",
    ".mp4": "video/mp4",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".onnx": OTHER,
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".pickle": OTHER,
    ".pkl": OTHER,
    ".png": "image/png",
    ".pt": OTHER,
    ".pth": OTHER,
    ".safetensors": "application/x-safetensors",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
}
"""The suffixes that say what a file is. Any other is part of a name."""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """How a value is stored: under which name, as what, and by which function."""

    name: str
    kind: str
    media_type: str
    write: Write


def format_of(name: str, value: Any) -> Format:
    """The format in which `value` is stored as `name`, to which a suffix is added where it has none.

    Raises:
        TypeError: the value has no open format.
        ValueError: the suffix of the name is that of another format, or values cannot be stored exactly.
    """
    if isinstance(value, str):
        return _free(name, "text", ".txt", lambda path: path.write_bytes(value.encode()))
    if isinstance(value, bytes | bytearray | memoryview):
        return _free(name, "bytes", ".bin", lambda path: path.write_bytes(value))
    if isinstance(value, os.PathLike):
        source = Path(value)
        return _free(name, "file", source.suffix, lambda path: shutil.copyfile(source, path))
    if _is_array(value):
        array = _array(value)
        return _fixed(name, "array", {".npy": lambda path: _write_npy(path, array)})
    if isinstance(value, Mapping) and value and all(map(_is_array, value.values())):
        return _arrays(name, value)
    if _has(value, "__arrow_c_stream__", "__arrow_c_array__"):
        return _table(name, value)
    if _has(value, "savefig"):
        kinds = ("png", "svg", "pdf")
        writers = {f".{kind}": partial(value.savefig, format=kind) for kind in kinds}
        return _fixed(name, "figure", writers)
    text = _json(value)
    return _fixed(name, "json", {".json": lambda path: path.write_bytes(text)})


def _arrays(name: str, values: Mapping[Any, Any]) -> Format:
    for key in values:
        if not isinstance(key, str) or not key or "\0" in key:
            raise ValueError(f"arrays are stored by names; {key!r} is none")
    if any(map(_is_tensor, values.values())):
        tensors = {
            key: value if _is_tensor(value) else _array(value) for key, value in values.items()
        }
        return _fixed(name, "tensors", {".safetensors": lambda path: write_tensors(path, tensors)})
    arrays = {key: _array(value) for key, value in values.items()}
    return _fixed(
        name,
        "arrays",
        {
            ".npz": lambda path: _write_npz(path, arrays),
            ".safetensors": lambda path: write_arrays(path, arrays),
        },
    )


def _table(name: str, value: Any) -> Format:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.table(value)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise TypeError(f"this {_type(value)} is no table that Arrow can hold: {error}") from error
    return _fixed(
        name, "table", {".parquet": lambda path: pq.write_table(table, path, compression="zstd")}
    )


def _fixed(name: str, kind: str, writers: Mapping[str, Write]) -> Format:
    """A kind that has formats of its own, of which the suffix of the name chooses one, else the first."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in writers:
        if suffix in MEDIA_TYPES:
            suffixes = " or ".join(f"`{suffix}`" for suffix in writers)
            raise ValueError(f"`{name}`: an artifact of kind `{kind}` is stored as {suffixes}")
        suffix = next(iter(writers))
        name += suffix
    return Format(name=name, kind=kind, media_type=MEDIA_TYPES[suffix], write=writers[suffix])


def _free(name: str, kind: str, default: str, write: Write) -> Format:
    """A kind that is stored as it is, under any suffix."""
    if not PurePosixPath(name).suffix:
        name += default
    known = "text/plain" if kind == "text" else OTHER
    media_type = MEDIA_TYPES.get(PurePosixPath(name).suffix.lower(), known)
    return Format(name=name, kind=kind, media_type=media_type, write=write)


def _array(value: Any) -> NDArray[Any]:
    """As numpy stores it without pickle."""
    if _is_tensor(value):
        try:
            value = value.detach().cpu().resolve_conj().resolve_neg().numpy()
        except (TypeError, RuntimeError) as error:
            raise TypeError(
                f"numpy has no {value.dtype} tensor like this: {error}\n"
                "hint: store it by a name, as in {'weight': tensor}: that is a `.safetensors` file"
            ) from error
    dtype = value.dtype
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError("a masked array has no open format; store `.data` and `.mask` by names")
    if dtype.hasobject:
        raise TypeError(
            f"an array of {dtype} could only be pickled, and reading a pickle runs what it holds; "
            "store numbers, or a frame"
        )
    if dtype.isbuiltin == 2:
        raise TypeError(f"a `.npy` file cannot say that its numbers are {dtype}")
    array: NDArray[Any] = value
    return array


def _write_npy(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    # `numpy.savez` takes the names as arguments, of which some are its own.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for key, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _json(value: Any) -> bytes:
    try:
        text = json.dumps(value, allow_nan=False, indent=2, default=_plain)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this {_type(value)} cannot be stored as JSON: {error}") from error
    return text.encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    try:
        return msgspec.to_builtins(value)
    except TypeError:
        raise TypeError(_no_format(value)) from None


def _no_format(value: Any) -> str:
    kinds = (
        "figures, arrays, tensors, frames, JSON values, text, bytes, and paths of files and folders"
    )
    hint = ""
    if _has(value, "state_dict"):
        hint = "\nhint: store its weights, `.state_dict()`"
    elif _is_array(value):
        hint = "\nhint: arrays are stored alone, or by names in one mapping of nothing but arrays"
    return (
        f"`{_type(value)}` has no open format: it could only be pickled, and reading a pickle runs "
        f"what it holds; artifacts are {kinds}{hint}"
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or _is_tensor(value)


def _is_tensor(value: Any) -> bool:
    # An object of torch is there only where torch is.
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _has(value: Any, *names: str) -> bool:
    return any(callable(getattr(value, name, None)) for name in names)


def _type(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
