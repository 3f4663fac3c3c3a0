"""The points of a sweep that are known before any of them is run: those of a grid, and drawn ones."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.spec.composition import Setting
from specplan.spec.wording import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from specplan.spec.axes import Axis


class Choice(msgspec.Struct, frozen=True):
    """What one axis is given; `index` says which of its known values that is, None for a number drawn."""

    axis: Axis
    value: Any
    index: int | None = None

    @property
    def setting(self) -> Setting:
        """The same, to compose a spec with."""
        key = ("sweep", "vary", self.axis.address)
        return Setting(
            address=self.axis.address,
            value=self.value,
            key=key,
            place=self.axis.place(self.index),
        )


Values = tuple[Choice, ...]


def values_of(point: Values) -> dict[str, Any]:
    """The values of a point by their places."""
    return {choice.axis.address: choice.value for choice in point}


def grid(axes: Sequence[Axis]) -> Iterator[Values]:
    """Every combination, the last axis varying fastest."""
    return itertools.product(
        *(
            [Choice(axis, value, index) for index, value in enumerate(axis.known_values())]
            for axis in axes
        )
    )


def seeded(points: Iterable[Values], seeds: Axis | None) -> Iterator[Values]:
    """Every point with every seed, one after the other; as they are where no seeds were asked for."""
    for point in points:
        if seeds is None:
            yield point
        else:
            yield from ((*point, Choice(seeds, value)) for value in seeds.known_values())


def drawn(axes: Sequence[Axis], runs: int, seed: int) -> Iterator[Values]:
    """So many points, or as many as there are, each once. The first ones do not depend on how many."""
    if not any(axis.is_drawn for axis in axes):
        runs = min(runs, math.prod(axis.count for axis in axes))
    seen: set[tuple[Any, ...]] = set()
    for attempt in itertools.count():
        if len(seen) == runs:
            return
        source = random.Random(f"{seed}/{attempt}")
        point = tuple(_drawn(axis, source) for axis in axes)
        key = tuple(choice.value if choice.index is None else choice.index for choice in point)
        if key not in seen:
            seen.add(key)
            yield point


def _drawn(axis: Axis, source: random.Random) -> Choice:
    if not axis.is_drawn:
        index = source.randrange(axis.count)
        return Choice(axis, axis.known_values()[index], index)
    return at(axis, source.random())


def at(axis: Axis, share: float) -> Choice:
    """The number of an axis that this share of all it can draw is below."""
    if axis.log:
        value = axis.low * math.exp(share * math.log(axis.high / axis.low))
    else:
        value = axis.low + share * (axis.high - axis.low)
    return Choice(axis, min(max(value, axis.low), axis.high))


def restored(axes: Sequence[Axis], values: Mapping[str, Any]) -> Values:
    """The point that has these values."""
    return tuple(_with_value(axis, values[axis.address]) for axis in axes)


def _with_value(axis: Axis, value: Any) -> Choice:
    if axis.is_drawn or axis.whole:
        return Choice(axis, value)
    written = as_json(value)  # to Python, `1` and `True` are equal
    index = next(i for i, each in enumerate(axis.known_values()) if as_json(each) == written)
    return Choice(axis, value, index)
