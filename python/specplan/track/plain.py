"""Values of a program as JSON holds them."""

from __future__ import annotations

import enum
import json
import math
import os
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from specplan.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


def plain(value: object, what: str) -> Any:
    """`value` as JSON holds it: numpy and torch numbers and arrays as numbers and lists, paths as texts.

    JSON has no NaN and no infinity: they become the texts "nan", "inf" and "-inf".

    Args:
        value: nested mappings, sequences and sets of such values.
        what: what it is, for errors.

    Raises:
        TypeError: a value is of another kind, or a key is no text.
        ValueError: a value holds itself.
    """
    try:
        return _plain(value, what)
    except RecursionError:
        raise ValueError(f"{what} holds itself, or is nested too deep") from None


def encode(value: object) -> bytes:
    """A plain value as an indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def decoded(file: Path, content: bytes, kind: type[T] | Any = Any) -> T:
    """What a file has in JSON. Bare NaN and Infinity, which other tools write, are numbers.

    Args:
        file: for errors.
        content: of the file, or of a line of it.
        kind: what it has to be.

    Raises:
        RunError: it is no JSON, or of another kind.
    """
    try:
        try:
            found = msgspec.json.decode(content)
        except ValueError:
            found = json.loads(content)
        return msgspec.convert(found, kind)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {error}") from error


def _plain(value: object, what: str) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value, what)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(float(value))
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return {_key(key, what): _plain(item, f"{what}.{key}") for key, item in value.items()}
    if isinstance(value, Set):
        items = [_plain(item, what) for item in value]
        return sorted(items, key=repr)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item, f"{what}[{index}]") for index, item in enumerate(value)]
    listed = getattr(value, "tolist", None)
    if callable(listed):
        return _plain(listed(), what)
    raise TypeError(
        f"{what} is of type {type(value).__name__}, which JSON cannot hold; give numbers, texts, "
        "lists and mappings of them"
    )


def _finite(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _key(key: object, what: str) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int | float) and not isinstance(key, bool):
        return str(key)
    raise TypeError(f"{what} has the key {key!r}; keys are texts")
