"""Classes and functions of the user as components of any kind. Imports their code, and no library."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from specplan.code.load import keywords, load, place_of
from specplan.code.own_scaling import OwnScaling
from specplan.code.signature import BASES, FORMS, called
from specplan.errors import CodeError
from specplan.models.sklearn.table import decode_floats
from specplan.spec.wording import with_article

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from specplan.code.signature import Signature
    from specplan.code.source import Source
    from specplan.components import Kind

    Make = Callable[..., Any]


def imported(source: Source, kind: Kind, base: type | None = None) -> Make:
    """The class or function, once its code ran; a class of it is a subclass of `base`.

    Raises:
        CodeError: it is none that a component of this kind can be.
    """
    try:
        found = load(source)
    except CodeError:
        raise
    except Exception as error:
        message = f"{place_of(error, source)}: {type(error).__name__}: {error}"
        raise CodeError("SP604", f"importing `{source.reference}` failed, {message}") from error
    forms = FORMS[kind]
    if "class" in forms and isinstance(found, type) and (base is None or issubclass(found, base)):
        made: Make = found
        return made
    if "function" in forms and isinstance(found, types.FunctionType):
        return found
    a_class = f"a subclass of `{base.__module__}.{base.__qualname__}`" if base else "a class"
    wanted = " or ".join({"class": a_class, "function": "a function"}[form] for form in forms)
    message = f"`{source.reference}` is not {with_article(called(kind))}: that is {wanted}"
    name = source.reference.name.rpartition(".")[2]
    hint = f"write `class {name}({BASES[kind]}):`" if base else None
    raise CodeError("SP406", message, hint)


def arguments(source: Source, signature: Signature, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a plan as keywords."""
    return keywords(source, signature, decode_floats(dict(args)))


def own_scaling(source: Source, signature: Signature, args: Mapping[str, Any]) -> OwnScaling:
    """The scaler that code of the user is, with the arguments of a plan.

    Raises:
        CodeError: the code does not define it.
        ValueError: no object of it can be made, or it is none that scales.
    """
    make, given = imported(source, "scaler"), arguments(source, signature, args)
    return OwnScaling(lambda: make(**given), source.reference.name, source)
