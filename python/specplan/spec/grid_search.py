"""Every combination of the values that a configuration is to be tried with."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from specplan.spec.axes import AxisError, combinations
from specplan.spec.choices import Choices, known_values
from specplan.spec.decode import Decoder, fields_of
from specplan.spec.diagnostics import Origin
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.spec.diagnostics import Path

T = TypeVar("T")
BLOCK = "grid_search"


def generate_grid(configuration: T) -> tuple[list[T], list[dict[str, Any]]]:
    """A configuration for each combination of the values that are searched, and what tells it from the others.

    Searched are fields of the type `GridSearch` that have several values, and the places that
    `grid_search` names, in the order of the class and then of the block; the last one varies
    fastest. The tags have the values of those with more than one, by their places.

    Raises:
        ValueError: `grid_search` names a place that there is not, or gives it values that are none.
    """
    spaces = dict(_declared(configuration, ()))
    for address, written in (_inside(configuration).get(BLOCK) or {}).items():
        path = tuple(address.split("."))
        spaces[path] = _decoded(configuration, path, written)
    found: list[T] = []
    tags: list[dict[str, Any]] = []
    for values in combinations(spaces):
        chosen = copy.deepcopy(configuration)
        for path, value in values.items():
            _put(chosen, path, copy.deepcopy(value))
        if BLOCK in _inside(chosen):
            _put(chosen, (BLOCK,), None)
        found.append(chosen)
        tags.append(
            {
                ".".join(map(str, path)): value
                for path, value in values.items()
                if len(spaces[path]) > 1
            }
        )
    return found, tags


def _declared(value: Any, path: Path) -> Iterator[tuple[Path, tuple[Any, ...]]]:
    """The fields that have several values, in a configuration and those in it."""
    if isinstance(value, Choices):
        yield path, value.values
    elif dataclasses.is_dataclass(value):
        for name, item in _inside(value).items():
            yield from _declared(item, (*path, name))


def _decoded(configuration: Any, path: Path, written: Any) -> tuple[Any, ...]:
    """The values that the block gives a place, as what is declared there."""
    where = ".".join(map(str, path))
    owner = configuration
    for depth, name in enumerate(path):
        inside = _inside(owner)
        if name not in inside or name == BLOCK:
            known = [key for key in inside if key != BLOCK]
            of = f"`{'.'.join(map(str, path[:depth]))}`" if depth else "the configuration"
            hint = did_you_mean(str(name), known)
            message = f"{BLOCK}: {of} has no `{name}`; it has {quoted(known) or 'nothing'}"
            raise ValueError(message + (f"; {hint}" if hint else ""))
        if depth < len(path) - 1:
            owner = inside[name]
    try:
        values = known_values(written)
    except AxisError as error:
        raise ValueError(f"{BLOCK}: `{where}`: {error}") from error
    if isinstance(owner, dict):
        return tuple(values)
    decoder = Decoder(_Nowhere())
    kind = fields_of(type(owner))[str(path[-1])]
    decoded = tuple(decoder.decode(kind, value, path) for value in values)
    if decoder.problems:
        raise ValueError(f"{BLOCK}: `{where}`: {decoder.problems[0].message}")
    return decoded


class _Nowhere:
    """Places of values that are in no text."""

    def origin(self, path: Path, *, key: bool = False) -> Origin:
        del key
        return Origin(file=None, path=path)


def _inside(value: Any) -> dict[str, Any]:
    """What is in a configuration or a mapping, by name; nothing for anything else."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value if isinstance(value, dict) else {}


def _put(configuration: Any, path: Path, value: Any) -> None:
    *outer, last = path
    for name in outer:
        configuration = _inside(configuration)[str(name)]
    if isinstance(configuration, dict):
        configuration[last] = value
    else:
        object.__setattr__(configuration, str(last), value)
