"""Annotations of a source as types that msgspec can check values against."""

from __future__ import annotations

import ast
import enum
import functools
import operator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.code.definition import Definition, assigned, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from specplan.code.source import Module, Source

_PLAIN: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "list": list,
    "List": list,
    "tuple": tuple,
    "Tuple": tuple,
    "dict": dict,
    "Dict": dict,
    "None": None,
}
_LISTS = ("list", "List", "Sequence", "Iterable", "Collection")
_MAPPINGS = ("dict", "Dict", "Mapping")
_ENUMS = {
    "Enum": enum.Enum,
    "StrEnum": enum.StrEnum,
    "IntEnum": enum.IntEnum,
}
_DEEPEST = 20


def annotated_type(source: Source, module: Module, node: ast.expr | None) -> Any:
    """The type that an annotation means; `Any` where that is nothing that JSON could be compared with."""
    try:
        found = _Reader(source, module).type(node, 0) if node is not None else Any
        msgspec.json.Decoder(found)
    except (TypeError, ValueError):
        return Any  # such as a union of which JSON does not tell the members apart
    return found


class _UnknownError(TypeError):
    """A type that this reader does not know, and that makes what it is part of unknown."""


class _Reader:
    """Reads the annotations of one module."""

    def __init__(self, source: Source, module: Module) -> None:
        self._source = source
        self._module = module

    def type(self, node: ast.expr, depth: int) -> Any:
        """The type; raises TypeError where it is not known."""
        if depth > _DEEPEST:
            raise _UnknownError
        inner: Callable[[ast.expr], Any] = functools.partial(self.type, depth=depth + 1)
        match node:
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=str(text)):
                return inner(ast.parse(text, mode="eval").body)
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return self._named(name, depth)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return _union([inner(left), inner(right)])
            case ast.Subscript(value=owner, slice=arguments):
                return self._subscripted(owner, _items(arguments), inner)
        raise _UnknownError

    def _named(self, name: str, depth: int) -> Any:
        if name in _PLAIN:
            return _PLAIN[name]
        if name in ("Any", "object"):
            return Any
        definition = look_up(self._source, self._module, name)
        if definition is not None:
            return _enumeration(definition)
        alias = assigned(self._module, name)
        if alias is None:
            raise _UnknownError
        return self.type(alias, depth + 1)

    def _subscripted(
        self, owner: ast.expr, arguments: Sequence[ast.expr], inner: Callable[[ast.expr], Any]
    ) -> Any:
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        if name == "Literal":
            return Literal[tuple(ast.literal_eval(argument) for argument in arguments)]
        if name in ("Annotated", "Final", "InitVar"):
            return inner(arguments[0])
        if name == "Optional":
            return _union([inner(arguments[0]), None])
        if name in ("tuple", "Tuple") and len(arguments) == 2 and _is_ellipsis(arguments[1]):
            return tuple[inner(arguments[0]), ...]  # type: ignore[misc]  # made while the program runs
        types = [inner(argument) for argument in arguments]
        if name == "Union":
            return _union(types)
        if name in ("tuple", "Tuple"):
            return tuple[tuple(types)]  # type: ignore[misc]
        if name in _LISTS and len(types) == 1:
            return list[types[0]]  # type: ignore[valid-type]  # made while the program runs
        if name in _MAPPINGS and len(types) == 2:
            return dict[types[0], types[1]]  # type: ignore[valid-type]
        raise _UnknownError


def _enumeration(definition: Definition) -> Any:
    node = definition.node
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    names = [base.attr if isinstance(base, ast.Attribute) else ast.unparse(base) for base in bases]
    base = next((_ENUMS[name] for name in names if name in _ENUMS), None)
    if base is None:
        raise _UnknownError
    members = {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }
    return enum.Enum(node.name, members, module=definition.module.name)


def _items(node: ast.expr) -> Sequence[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _union(types: Sequence[Any]) -> Any:
    if Any in types:
        return Any
    return functools.reduce(operator.or_, [type(None) if one is None else one for one in types])
