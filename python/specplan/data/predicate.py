"""Conditions on the value of a column that can be written down: `GTE(90)`, `In(["a", "b"])`."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from specplan.data.expression import Expression
from specplan.spec.arguments import checked_list
from specplan.spec.wording import choices

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scalar = str | int | float | bool


class Predicate(ABC):
    """Abstract base of the conditions. Called with a value, or with an array of one value a row.

    Two are equal where they say the same.
    """

    name: ClassVar[str]
    """What a spec calls it."""

    def __init__(self, operand: Any) -> None:
        self._operand = operand

    def __call__(self, values: Any) -> Any:
        if isinstance(values, np.ndarray) and values.ndim:
            return self.holds(values)
        return bool(self.holds(np.asarray([values]))[0])

    @abstractmethod
    def holds(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """For each row whether the condition holds.

        Raises:
            ValueError: the rows are of another kind than the condition is for.
        """

    def to_dict(self) -> dict[str, Any]:
        """The condition as plain values; `predicate_of` reads them."""
        return {self.name: self._operand}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Predicate) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.name, str(self._operand)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._operand!r})"


class _Comparison(Predicate):
    def __init__(self, value: Scalar) -> None:
        super().__init__(_scalar(type(self).__name__, value))

    @property
    def value(self) -> Scalar:
        """What rows are compared with."""
        value: Scalar = self._operand
        return value

    def holds(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        _check_kinds(self, rows, [self._operand])
        found: NDArray[np.bool_] = _COMPARE[self.name](_comparable(rows), self._operand)
        return found


class LT(_Comparison):
    """Less than."""

    name = "lt"


class LTE(_Comparison):
    """Less than or equal."""

    name = "lte"


class GT(_Comparison):
    """Greater than."""

    name = "gt"


class GTE(_Comparison):
    """Greater than or equal."""

    name = "gte"


class EQ(_Comparison):
    """Equal."""

    name = "eq"


class NE(_Comparison):
    """Not equal."""

    name = "ne"


class _Membership(Predicate):
    def __init__(self, values: Iterable[Scalar]) -> None:
        what = type(self).__name__
        super().__init__([_scalar(what, value) for value in checked_list(f"{what}(...)", values)])

    @property
    def values(self) -> list[Scalar]:
        """Among what rows are looked for."""
        return list(self._operand)

    def holds(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        _check_kinds(self, rows, self._operand)
        found = np.isin(_comparable(rows), self._operand)
        return found if self.name == "in" else ~found


class In(_Membership):
    """One of several values."""

    name = "in"


class NotIn(_Membership):
    """None of several values."""

    name = "not_in"


class Lambda(Predicate):
    """A condition as text, `Lambda("lambda x: 0 <= x < 90")`, in the language of `data.expression`.

    Raises:
        TypeError: the source is no text.
        ValueError: it uses something that the language does not have.
    """

    name = "lambda"

    def __init__(self, source: str) -> None:
        if not isinstance(source, str):
            raise TypeError(
                f"Lambda(...) takes the text of a function, not {type(source).__name__}"
            )
        super().__init__(source)
        self._expression = Expression(source)

    @property
    def source(self) -> str:
        """The text."""
        return str(self._operand)

    def holds(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        return self._expression.holds(rows)


_KINDS: Mapping[str, type[Predicate]] = {
    kind.name: kind for kind in (LT, LTE, GT, GTE, EQ, NE, In, NotIn, Lambda)
}
_COMPARE: Mapping[str, Any] = {
    "lt": np.less,
    "lte": np.less_equal,
    "gt": np.greater,
    "gte": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}


PREDICATES = frozenset(_KINDS)
"""What conditions of a spec can compare by."""


def predicates_of(condition: Any) -> list[Predicate]:
    """The conditions, all to hold, that a plain value of a spec means.

    A scalar is to be equal, a list is to contain, a mapping has the names of predicates.

    Raises:
        ValueError, TypeError: it is no condition.
    """
    match condition:
        case Predicate():
            return [condition]
        case Mapping():
            if not condition:
                raise ValueError(f"an empty condition; it has: {choices('', _KINDS)}")
            for name in condition:
                if name not in _KINDS:
                    raise ValueError(f"there is no `{name}`; known: {choices(name, _KINDS)}")
            return [_KINDS[name](operand) for name, operand in condition.items()]
        case str() | numbers.Real() | np.bool_():
            return [EQ(_scalar("EQ", condition))]
        case list() | tuple() | set() | frozenset() | np.ndarray():
            return [In(list(condition))]
    raise TypeError(
        f"a condition is a value, a list of values or a Predicate, not {type(condition).__name__}"
    )


def _scalar(what: str, value: Any) -> Scalar:
    match value:
        case bool() | np.bool_():
            return bool(value)
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            return float(value)
        case str():
            return str(value)
    raise TypeError(f"{what} compares with a number or a text, not {type(value).__name__}")


def _comparable(rows: NDArray[Any]) -> NDArray[Any]:
    return rows.astype(str) if rows.dtype.kind in "OT" else rows


def _check_kinds(predicate: Predicate, rows: NDArray[Any], operands: list[Any]) -> None:
    if rows.ndim > 1:
        raise ValueError(f"{predicate!r} compares one value a row, and a row is {rows.shape[1:]}")
    text = rows.dtype.kind not in "biuf"
    for operand in operands:
        if isinstance(operand, str) != text:
            held = "text" if text else "numbers"
            raise ValueError(f"{predicate!r} compares {operand!r} with rows of {held}")
