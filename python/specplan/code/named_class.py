"""Objects of a program as `module:Class` and arguments, to be made again without pickle."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Base = TypeVar("Base")


def name_of(cls: type) -> str:
    """The class as `module:Class`.

    Raises:
        ValueError: it cannot be found under that name.
    """
    found: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not cls:
        raise ValueError(
            f"is of the class `{cls.__qualname__}`, which is not found in module `{cls.__module__}`; "
            "define it at the top of a module"
        )
    return f"{cls.__module__}:{cls.__qualname__}"


def arguments_of(instance: object, found: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The arguments of an object's class, read from attributes of the same names; or `found` checked.

    Raises:
        ValueError: an argument is kept in no attribute, or is no plain value.
    """
    given = _attributes(instance) if found is None else found
    for name, value in given.items():
        if not _is_plain(value):
            raise ValueError(
                f"has the argument `{name}`, a {type(value).__name__}, which cannot be stored "
                "without pickle"
            )
    return dict(given)


def class_named(use: str, base: type[Base], *, allow_import: bool) -> type[Base]:
    """The subclass of `base` that `module:Class` names. A module is imported only where that is allowed.

    Raises:
        ValueError: the program has not imported the module, or it has no such class.
    """
    module, _, name = use.partition(":")
    if module not in sys.modules and not allow_import:
        raise ValueError(
            f"it needs the class `{use}`, and this program has not imported `{module}`; import it, "
            "or pass allow_packaged_code=True to have it imported"
        )
    found: Any = sys.modules.get(module) or import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"`{use}` is no class of {base.__name__} here")
    return found


def _attributes(instance: object) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, parameter in inspect.signature(type(instance)).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if hasattr(instance, name):
            given[name] = getattr(instance, name)
        elif parameter.default is parameter.empty:
            raise ValueError(
                f"does not keep its argument `{name}` in an attribute of that name, so it cannot be "
                "made again"
            )
    return given


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    return value is None or isinstance(value, bool | int | float | str)
