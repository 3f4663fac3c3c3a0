"""The values that a sweep gives the places of a spec, as lists or as ranges to draw from."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from specplan.spec.model import AxisSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from specplan.spec.diagnostics import Path

Key = TypeVar("Key")
MOST_VALUES = 1_000_000
"""Values of one axis: more are a slip."""


def combinations(values: Mapping[Key, Sequence[Any]]) -> Iterator[dict[Key, Any]]:
    """Every choice of one value for each key, that of the last varying fastest."""
    for chosen in itertools.product(*values.values()):
        yield dict(zip(values, chosen, strict=True))


class AxisError(ValueError):
    """Numbers that make no values."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """What one place of a spec can be given.

    Attributes:
        address: the place, as for `-c`.
        path: where the spec says what it can be given.
        values: all there is; empty for numbers between `low` and `high`, both of which can be drawn.
        written: whether each of `values` stands in the spec itself, as an item of the list at `path`.
        log: whether the logarithm is uniform; whole: whether only integers are drawn.
    """

    address: str
    path: Path
    values: Sequence[Any] = ()
    written: bool = False
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def is_drawn(self) -> bool:
        """Whether its values are not all known."""
        return not len(self.values) and not self.whole

    @property
    def count(self) -> int:
        """How many values there are, where `is_drawn` does not hold."""
        return len(self.values) or int(self.high) - int(self.low) + 1

    def known_values(self) -> Sequence[Any]:
        """Those values."""
        return self.values or range(int(self.low), int(self.high) + 1)

    def place(self, index: int | None) -> Path:
        """Where a value is written: the one with that index, or what it comes from."""
        return (*self.path, index) if self.written and index is not None else self.path


def axes_of(vary: Mapping[str, Any]) -> tuple[Axis, ...]:
    """The axes of a sweep, in the order in which they are written.

    Raises:
        AxisError: numbers of one make no values.
    """
    return tuple(axis_of(address, spec) for address, spec in vary.items())


def axis_of(address: str, spec: tuple[Any, ...] | AxisSpec) -> Axis:
    """The axis of one place.

    Raises:
        AxisError: its numbers make no values.
    """
    path: Path = ("sweep", "vary", address)
    if not isinstance(spec, AxisSpec):
        return Axis(address=address, path=path, values=spec, written=True)
    name, given = next(_given(spec))
    path = (*path, name)
    match name:
        case "values":
            return Axis(address=address, path=path, values=given, written=True)
        case "range":
            return Axis(address=address, path=path, values=counted(given))
        case "range_mult":
            return Axis(address=address, path=path, values=multiplied(given))
    low, high = given
    if low > high or (low == high and name != "integers"):
        raise AxisError(f"there is no number between {low} and {high}", "the lower one comes first")
    if name == "log_uniform" and low <= 0:
        raise AxisError(f"{low} has no logarithm", "`log_uniform` is for numbers above 0")
    return Axis(
        address=address,
        path=path,
        low=low,
        high=high,
        log=name == "log_uniform",
        whole=name == "integers",
    )


def counted(numbers: Sequence[float]) -> Sequence[float]:
    """From the first number up to the second, which is left out, in steps of the third or of 1.

    Raises:
        AxisError: there is no such number, or far too many.
    """
    start, stop, *rest = numbers
    step = rest[0] if rest else 1
    if step == 0:
        raise AxisError("a step of 0 leads nowhere")
    # A last number that is beside the end only by rounding is the end.
    count = math.ceil((stop - start) / step - 1e-9)
    if count < 1:
        raise AxisError(f"there is no number from {start} up to {stop} in steps of {step}")
    _check_count(count)
    return [start + index * step for index in range(count)]


def multiplied(numbers: Sequence[float]) -> Sequence[float]:
    """So many numbers as the second says: the first, then always the one before times the third.

    Raises:
        AxisError: the second is no count.
    """
    start, count, factor = numbers
    if count != int(count) or count < 1:
        raise AxisError(f"{count} is not how many numbers there are", "[start, count, factor]")
    _check_count(int(count))
    try:
        values = [start * factor**index for index in range(int(count))]
        finite = all(map(math.isfinite, values))
    except OverflowError:
        finite = False
    if not finite:
        raise AxisError("the numbers grow beyond what a number can be")
    return values


def _check_count(count: int) -> None:
    if count > MOST_VALUES:
        raise AxisError(
            f"{count:,} values are more than the {MOST_VALUES:,} that one place can have"
        )


def _given(spec: AxisSpec) -> Iterator[tuple[str, Any]]:
    for name in spec.__struct_fields__:
        if getattr(spec, name) is not msgspec.UNSET:
            yield name, getattr(spec, name)
