"""A field of a configuration that is one value, or several to be searched: `GridSearch[float]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union

import msgspec

from specplan.spec.axes import AxisError, axis_of
from specplan.spec.model import AxisSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
_SAME = {"values_list": "values", "values_range": "range", "values_mult": "range_mult"}
_FORM = "values are a list, `range: [start, stop, step]` or `range_mult: [start, count, factor]`"


class Choices(Generic[T]):
    """The values of a field that is searched; `generate_grid` puts each of them in its place."""

    def __init__(self, values: Sequence[T]) -> None:
        self.values = tuple(values)

    def __repr__(self) -> str:
        return f"Choices({', '.join(map(repr, self.values))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choices) and self.values == other.values

    def __hash__(self) -> int:
        return hash(self.values)


GridSearch = Union[T, Choices[T]]  # noqa: UP007 -- `T | X` of a type variable is no alias
"""The type of a field that a YAML file gives one value, a list of them, or a range to count out."""


def known_values(written: object) -> Sequence[Any]:
    """The values of a list or a range.

    Raises:
        AxisError: it is neither, or its values cannot be counted.
    """
    if isinstance(written, list) and written:
        return written
    if not isinstance(written, dict) or len(written) != 1:
        raise AxisError(_FORM)
    [(name, given)] = written.items()
    if name == "value":
        return [given]
    try:
        axis = axis_of("", msgspec.convert({_SAME.get(name, name): given}, AxisSpec))
    except msgspec.ValidationError:
        raise AxisError(_FORM) from None
    if axis.is_drawn:
        raise AxisError(f"`{name}` draws its values, and a grid has to know them")
    return axis.known_values()
