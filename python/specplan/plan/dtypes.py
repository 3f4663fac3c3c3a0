"""numpy's names of item types, and what they become when they are joined. Without numpy."""

from __future__ import annotations

from typing import Final

_FLOATS: Final = ("float16", "float32", "float64")
_SIGNED: Final = ("int8", "int16", "int32", "int64")
_UNSIGNED: Final = ("uint8", "uint16", "uint32", "uint64")
_INTEGERS: Final = frozenset(_SIGNED + _UNSIGNED)

NUMBERS: Final = frozenset({"bool", *_FLOATS, *_INTEGERS})
"""Item types that a model, a target or a loss can read."""

_SIZES: Final[dict[str, int]] = {
    "bool": 1,
    "string": 16,
    **dict(zip(_FLOATS, (2, 4, 8), strict=True)),
    **dict(zip(_SIGNED, (1, 2, 4, 8), strict=True)),
    **dict(zip(_UNSIGNED, (1, 2, 4, 8), strict=True)),
}


def is_class(dtype: str) -> bool:
    """Whether values of this type can name a class."""
    return dtype == "bool" or dtype in _INTEGERS


def is_float(dtype: str) -> bool:
    """Whether values of this type are floating-point numbers."""
    return dtype in _FLOATS


def item_size(dtype: str) -> int:
    """Bytes of one value; a guess of 16 for a string."""
    return _SIZES[dtype]


def common_dtype(first: str, *others: str) -> str:
    """The smallest type that holds the values of all, by numpy's rules, taken two at a time."""
    result = first
    for other in others:
        result = _join(result, other)
    return result


def _join(one: str, two: str) -> str:
    if two in {one, "bool"}:
        return one
    if one == "bool":
        return two
    if is_float(one) or is_float(two):
        return max(_as_float(one), _as_float(two), key=_FLOATS.index)
    if (one in _SIGNED) == (two in _SIGNED):
        return max(one, two, key=item_size)
    signed, unsigned = (one, two) if one in _SIGNED else (two, one)
    needed = max(item_size(signed), 2 * item_size(unsigned))
    return f"int{8 * needed}" if needed <= 8 else "float64"


def _as_float(dtype: str) -> str:
    if is_float(dtype):
        return dtype
    return {1: "float16", 2: "float32"}.get(item_size(dtype), "float64")
