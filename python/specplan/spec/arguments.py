"""Arguments that a Python program gives, checked."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from specplan.components import COMPONENTS
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from specplan.components import Kind
    from specplan.components.component import Component

Item = TypeVar("Item")


def written(kind: Kind, use: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The component as a spec writes it: `use`, and beside it only the arguments that were given.

    Numbers of numpy become those of Python.

    Raises:
        TypeError: the component has no such argument, or the arguments are no mapping.
        ValueError: an argument has a value that the declaration does not allow.
    """
    declaration = COMPONENTS[kind][use]
    given = plain_arguments(f"{kind} `{use}`", arguments, declaration.__struct_encode_fields__)
    component = {"use": use, **given}
    try:
        msgspec.convert(component, declaration)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`")
        if allowed := _literals(declaration, name):
            message += f"; it is one of {quoted(allowed)}"
        raise ValueError(f"{kind} `{use}`: `{name}`: {message}") from None
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in component.items()
    }


def plain_arguments(
    what: str, arguments: Mapping[str, Any], known: Iterable[str]
) -> dict[str, Any]:
    """The arguments of `what` with numbers of Python in place of those of numpy.

    Raises:
        TypeError: one of them is not `known`, or they are no mapping.
    """
    if not isinstance(arguments, Mapping):
        raise TypeError(f"the arguments of {what} are a mapping, not {type(arguments).__name__}")
    for name in arguments:
        if name not in known:
            raise TypeError(f"{what} has no argument `{name}`; it has: {choices(name, known)}")
    return {name: _plain(value) for name, value in arguments.items()}


def checked_list(what: str, values: Iterable[Item]) -> list[Item]:
    """The items of `values`.

    Raises:
        TypeError: it is a single item and not a list.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{what} is a list, not {type(values).__name__}")
    return list(values)


def checked_int(what: str, value: object, *, least: int | None = None) -> int:
    """`value` as an int of Python.

    Raises:
        TypeError: it is no integer.
        ValueError: it is less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} is an int, not {type(value).__name__}")
    if least is not None and value < least:
        raise ValueError(f"{what} is at least {least}, not {value}")
    return int(value)


def checked_number(what: str, value: object) -> float:
    """`value` as a float.

    Raises:
        TypeError: it is no number.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} is a number, not {type(value).__name__}")
    return float(value)


def _plain(value: object) -> object:
    match value:
        case bool():
            return value
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            return float(value)
        case list() | tuple():
            return type(value)(map(_plain, value))
    return value


def _literals(declaration: type[Component], name: str) -> tuple[str, ...]:
    """The words that an argument can be; none where it is not one of a few words."""
    info = msgspec.inspect.type_info(declaration)
    assert isinstance(info, msgspec.inspect.StructType)
    kinds = (field.type for field in info.fields if field.encode_name == name)
    for kind in kinds:
        described = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind
        if isinstance(described, msgspec.inspect.LiteralType):
            return tuple(map(str, described.values))
    return ()
