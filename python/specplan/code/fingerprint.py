"""What identifies an object that only the running program holds: a type and a digest.

The digest covers the bytecode of functions and methods, with their constants, defaults and the plain values
that they close over; and of other objects the attributes that are plain values or arrays. It tells two
objects apart that were made differently; it holds within one version of Python, and does not see what an
attribute of another kind holds, nor what a function reads from its module.
"""

from __future__ import annotations

import functools
import types
from typing import Any

import msgspec
import numpy as np
from blake3 import blake3


def type_of(value: object) -> str:
    """Module and name of a class or function, or of the class of anything else."""
    named = value if isinstance(value, type | types.FunctionType) else type(value)
    return f"{named.__module__}:{named.__qualname__}"


def digest_of(value: object) -> str:
    """`b3:` and the BLAKE3 of what `value` is."""
    return f"b3:{blake3(msgspec.json.encode(meaning(value))).hexdigest()}"


def meaning(value: object) -> Any:
    """Plain values that say what `value` is."""
    return _meaning(value, ())


def _meaning(value: Any, around: tuple[int, ...]) -> Any:
    if id(value) in around:
        return "itself"
    inside = (*around, id(value))
    match value:
        case None | bool() | int() | str():
            return value
        case float() | bytes() | np.ndarray() | np.generic():
            return _data(value)
        case list() | tuple() | dict() | set() | frozenset():
            return _collection(value, inside)
        case types.CodeType() | types.FunctionType() | types.MethodType() | functools.partial():
            return _callable(value, inside)
        case type():
            return _class(value, inside)
    if around:
        return type_of(value)
    held = getattr(value, "__dict__", {})
    attributes = [[name, _meaning(item, inside)] for name, item in held.items()]
    return [_meaning(type(value), inside), attributes]


def _data(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bytes):
        return blake3(value).hexdigest()
    held = repr(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
    return [str(value.dtype), list(value.shape), blake3(held).hexdigest()]


def _collection(value: Any, inside: tuple[int, ...]) -> Any:
    if isinstance(value, dict):
        return [[_meaning(key, inside), _meaning(item, inside)] for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(repr(_meaning(item, inside)) for item in value)
    return [_meaning(item, inside) for item in value]


def _callable(value: Any, inside: tuple[int, ...]) -> Any:
    match value:
        case types.CodeType():
            constants = _meaning(value.co_consts, inside)
            return [blake3(value.co_code).hexdigest(), list(value.co_names), constants]
        case types.FunctionType():
            return _function(value, inside)
        case types.MethodType():
            return _meaning([value.__func__, value.__self__], inside)
    return _meaning([value.func, value.args, value.keywords], inside)


def _function(function: types.FunctionType, inside: tuple[int, ...]) -> Any:
    cells = [_meaning(_held(cell), inside) for cell in function.__closure__ or ()]
    defaults = _meaning([function.__defaults__, function.__kwdefaults__], inside)
    return [type_of(function), _meaning(function.__code__, inside), defaults, cells]


def _held(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return None  # a function may close over a name that has no value yet


def _class(cls: type, inside: tuple[int, ...]) -> Any:
    """The name, and what its own functions do; those of classes of packages are known by their name."""
    own = [item for item in vars(cls).values() if isinstance(item, types.FunctionType)]
    bases = [type_of(base) for base in cls.__mro__]
    package = cls.__module__.partition(".")[0]
    if package in _PACKAGES:
        return bases
    return [bases, [_function(function, inside) for function in own]]


_PACKAGES = ("torch", "sklearn", "numpy", "scipy", "builtins", "collections", "functools")
"""Packages whose classes are known by their names."""
