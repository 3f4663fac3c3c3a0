"""Plain values as instances of declared types, or every fault that keeps them from it.

For types of the user's: classes of configurations and what their fields are made of. What the
language itself declares is checked by its schema.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import pathlib
import types
import typing
from collections import abc
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Union, get_args, get_origin

import msgspec

from specplan.spec.axes import AxisError
from specplan.spec.choices import Choices, known_values
from specplan.spec.configuration import BASE_FIELDS, documentation
from specplan.spec.diagnostics import Diagnostic
from specplan.spec.suggest import closest
from specplan.spec.wording import did_you_mean, kind_of, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from specplan.spec.diagnostics import Origin, Path

_NAMES: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_LISTS: dict[Any, type] = {abc.Sequence: list, abc.Collection: list, abc.Iterable: list} | {
    kind: kind for kind in (list, tuple, set, frozenset)
}
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)


class Places(Protocol):
    """What knows where values are written, such as a Document."""

    def origin(self, path: Path, *, key: bool = False) -> Origin:
        """Where the value at `path` is written, or with `key` the key that it stands under."""
        ...


class UnusableTypeError(Exception):
    """A declared type says nothing that a value of JSON or YAML could be compared with."""


class Decoder:
    """Decodes values and gathers what is wrong with them.

    Attributes:
        problems: where there are any, what `decode` has returned means nothing.
    """

    def __init__(self, places: Places) -> None:
        self.problems: list[Diagnostic] = []
        self._places = places

    def decode(self, declared: Any, value: Any, path: Path) -> Any:
        """The value at `path` as `declared` says.

        Raises:
            UnusableTypeError: no value could ever be of the declared type.
        """
        outer = get_origin(declared) or declared
        if declared in (Any, object):
            return value
        if outer is Annotated:
            return self._constrained(declared, value, path)
        if outer in (Union, types.UnionType):
            return self._union(get_args(declared), value, path)
        if outer is Literal:
            return self._literal(get_args(declared), value, path)
        if outer in _NAMES:
            return self._scalar(outer, value, path)
        if outer in _LISTS:
            return self._list(_LISTS[outer], get_args(declared), value, path)
        if outer in _MAPPINGS:
            return self._mapping(get_args(declared), value, path)
        if outer is Choices:
            return self._choices(get_args(declared), value, path)
        if isinstance(outer, type) and issubclass(outer, enum.Enum):
            return self._enum(outer, value, path)
        if isinstance(outer, type) and issubclass(outer, pathlib.PurePath):
            return outer(value) if isinstance(value, str) else self._unlike("path", value, path)
        if isinstance(outer, type) and dataclasses.is_dataclass(outer):
            return self.instance(outer, value, path)
        return self._converted(declared, value, path)

    def instance(
        self, cls: type[Any], value: Any, path: Path, *, known: Mapping[str, Any] | None = None
    ) -> Any:
        """An instance of a dataclass. `known` are fields that are known from elsewhere."""
        if not isinstance(value, dict):
            return self._unlike(f"mapping of `{cls.__name__}`", value, path)
        declared, known = fields_of(cls), known or {}
        before = len(self.problems)
        unknown = [key for key in value if key not in declared and not key.startswith("x-")]
        free = [name for name in declared if name not in value]
        own_first = sorted(declared, key=lambda name: name in BASE_FIELDS)
        listed = ", ".join(own_first) or "none"
        for key in unknown:
            message = f"unknown key `{key}`; `{cls.__name__}` has {listed}"
            hint = did_you_mean(key, free) or did_you_mean(key, declared)
            self._report("SP201", message, (*path, key), hint=hint, key=True)
        meant = {closest(key, free) for key in unknown}
        missing = [
            name
            for name in free
            if name not in known and _is_required(cls, name) and name not in meant
        ]
        if missing:
            self._missing(cls, missing, path)
        values = {
            name: self.decode(kind, value[name], (*path, name))
            for name, kind in declared.items()
            if name in value
        }
        if len(self.problems) > before:
            return None
        try:
            return cls(**{**known, **values})
        except (TypeError, ValueError) as refusal:
            return self._report("SP206", f"`{cls.__name__}` refuses this: {refusal}", path)

    def _missing(self, cls: type[Any], names: Sequence[str], path: Path) -> None:
        kinds, told = fields_of(cls), documentation(cls)
        hint = "; ".join(
            f"`{name}`: {', '.join(filter(None, (described(kinds[name]), told.get(name))))}"
            for name in names
        )
        origin = self._places.origin(path, key=True)
        if not path and origin.line:
            # A whole text: its first character stands for it.
            origin = msgspec.structs.replace(
                origin, end_line=origin.line, end_column=origin.column + 1
            )
        message = f"`{cls.__name__}` needs {quoted(names)}"
        self.problems.append(Diagnostic(code="SP204", message=message, origin=origin, hint=hint))

    def _constrained(self, declared: Any, value: Any, path: Path) -> Any:
        before = len(self.problems)
        inner = self.decode(get_args(declared)[0], value, path)
        checked = get_args(declared)[0] in _NAMES and len(self.problems) == before
        return self._converted(declared, value, path) if checked else inner

    def _union(self, members: tuple[Any, ...], value: Any, path: Path) -> Any:
        if value is None and type(None) in members:
            return None
        others = [member for member in members if member is not type(None)]
        if len(others) == 1:
            return self.decode(others[0], value, path)
        exact = [
            member for member in others if get_origin(member) is None and type(value) is member
        ]
        structured = [member for member in others if dataclasses.is_dataclass(member)]
        searched = [member for member in others if get_origin(member) is Choices]
        if searched and isinstance(value, list | dict):
            return self.decode(searched[0], value, path)
        found: list[tuple[Any, Decoder]] = []
        for member in (*exact, *others):
            attempt = Decoder(self._places)
            decoded = attempt.decode(member, value, path)
            if not attempt.problems:
                return decoded
            found.append((member, attempt))
        if isinstance(value, dict) and len(structured) == 1:
            (attempt,) = (attempt for member, attempt in found if member is structured[0])
            self.problems += attempt.problems
            return None
        return self._unlike(described(Union[members]), value, path)  # noqa: UP007 -- made here

    def _scalar(self, kind: type[Any], value: Any, path: Path) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        hint = None
        if kind is str and isinstance(value, bool | int | float):
            origin = self._places.origin(path)
            if origin.text is not None:
                # Nobody puts a word of a command in quotes twice, once for the shell and once for YAML.
                return origin.text[origin.column - 1 : origin.end_column - 1]
            hint = f'write `"{shown(value)}"`'
        elif kind is int and isinstance(value, float) and value.is_integer():
            hint = f"write `{int(value)}`"
        elif isinstance(value, str) and _is_written(kind, value):
            hint = "remove the quotes"
        return self._unlike(_NAMES[kind], value, path, hint=hint)

    def _list(self, kind: type, kinds: tuple[Any, ...], value: Any, path: Path) -> Any:
        if not isinstance(value, list):
            hint = f"write `[{value}]`" if isinstance(value, str | int | float) else None
            return self._unlike("list", value, path, hint=hint)
        if kind is tuple and kinds and kinds[-1] is not ...:
            if len(value) != len(kinds):
                message = f"expected a list of {len(kinds)}, found {len(value)} items"
                return self._report("SP206", message, path)
            each = list(kinds)
        else:
            each = [kinds[0] if kinds else Any] * len(value)
        items = zip(each, value, strict=True)
        decoded = [self.decode(one, item, (*path, n)) for n, (one, item) in enumerate(items)]
        try:
            return None if self.problems else kind(decoded)
        except TypeError as error:
            raise UnusableTypeError(f"the items of a {kind.__name__}: {error}") from error

    def _mapping(self, kinds: tuple[Any, ...], value: Any, path: Path) -> Any:
        if not isinstance(value, dict):
            return self._unlike("mapping", value, path)
        if not kinds:
            return value
        names, values = kinds
        if names not in (str, Any):
            raise UnusableTypeError("the keys of a mapping are strings")
        return {key: self.decode(values, item, (*path, key)) for key, item in value.items()}

    def _choices(self, kinds: tuple[Any, ...], value: Any, path: Path) -> Any:
        try:
            values = known_values(value)
        except AxisError as error:
            return self._report("SP751", str(error), path, hint=error.hint)
        kind = kinds[0] if kinds else Any
        return Choices([self.decode(kind, each, (*path, n)) for n, each in enumerate(values)])

    def _enum(self, kind: type[enum.Enum], value: Any, path: Path) -> Any:
        words = _words(kind)
        if isinstance(value, str) and value in words:
            return words[value]
        for member in kind:
            if type(member.value) is type(value) and member.value == value:
                return member
        return self._no_choice(words, value, path)

    def _literal(self, choices: tuple[Any, ...], value: Any, path: Path) -> Any:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return choice
        return self._no_choice([str(choice) for choice in choices], value, path)

    def _no_choice(self, words: Iterable[str], value: Any, path: Path) -> None:
        name = f"`{path[-1]}`" if path and isinstance(path[-1], str) else "this"
        hint = did_you_mean(value, words) if isinstance(value, str) else None
        message = f"{name} is {shown(value)}; expected one of {', '.join(words)}"
        self._report("SP203", message, path, hint=hint)

    def _converted(self, declared: Any, value: Any, path: Path) -> Any:
        try:
            return msgspec.convert(value, declared)
        except msgspec.ValidationError as refusal:
            wanted = str(refusal).partition(", got ")[0].removeprefix("Expected ")
            return self._unlike(wanted, value, path)
        except (TypeError, NameError) as error:
            raise UnusableTypeError(str(error)) from error

    def _unlike(self, expected: str, value: Any, path: Path, *, hint: str | None = None) -> None:
        self._report("SP202", f"expected {expected}, found {kind_of(value)}", path, hint=hint)

    def _report(
        self, code: str, message: str, path: Path, *, hint: str | None = None, key: bool = False
    ) -> None:
        origin = self._places.origin(path, key=key)
        self.problems.append(Diagnostic(code=code, message=message, origin=origin, hint=hint))


def fields_of(cls: type[Any]) -> dict[str, Any]:
    """The fields that a dataclass is made with, and their types."""
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise UnusableTypeError(
            f"an annotation of `{cls.__name__}` cannot be read: {error}"
        ) from error
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def _is_required(cls: type[Any], name: str) -> bool:
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    return (field.default, field.default_factory) == (dataclasses.MISSING, dataclasses.MISSING)


def described(declared: Any) -> str:
    """A type in the words of JSON and YAML."""
    outer = get_origin(declared) or declared
    if outer in (Union, types.UnionType):
        return " or ".join(described(member) for member in get_args(declared))
    if outer is Annotated:
        return described(get_args(declared)[0])
    if outer is Literal:
        return f"one of {', '.join(str(choice) for choice in get_args(declared))}"
    if outer in (None, type(None)):
        return "null"
    if outer is Choices:
        return "list of values to search"
    if outer in _LISTS or outer in _MAPPINGS:
        return "list" if outer in _LISTS else "mapping"
    if isinstance(outer, type) and issubclass(outer, enum.Enum):
        return f"one of {', '.join(_words(outer))}"
    if isinstance(outer, type) and issubclass(outer, pathlib.PurePath):
        return "path"
    if isinstance(outer, type) and dataclasses.is_dataclass(outer):
        return f"mapping of `{outer.__name__}`"
    return str(_NAMES.get(outer) or getattr(outer, "__name__", outer))


def _words(kind: type[enum.Enum]) -> dict[str, enum.Enum]:
    """How the members are written: by their values, or by their names where a value is no string."""
    by_value = {member.value: member for member in kind if isinstance(member.value, str)}
    return by_value if len(by_value) == len(kind) else dict(kind.__members__)


def _is_written(kind: type[Any], text: str) -> bool:
    try:
        return type(json.loads(text)) is kind
    except ValueError:
        return False
