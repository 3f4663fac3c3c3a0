"""Arguments of a component that a Python program gives, checked against its declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components import COMPONENTS
from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.components import Kind


def written(kind: Kind, use: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The component as a spec writes it: `use`, and beside it only the arguments that were given.

    Raises:
        TypeError: the component has no such argument.
        ValueError: an argument has a value that the declaration does not allow.
    """
    declaration = COMPONENTS[kind][use]
    known = declaration.__struct_encode_fields__
    for name in arguments:
        if name not in known:
            raise TypeError(
                f"{kind} `{use}` has no argument `{name}`; it has: {choices(name, known)}"
            )
    component = {"use": use, **arguments}
    try:
        msgspec.convert(component, declaration)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise ValueError(f"{kind} `{use}`: `{place.rstrip('`')}`: {message}") from None
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in component.items()
    }
