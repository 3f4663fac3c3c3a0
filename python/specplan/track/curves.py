"""Lists of values by name, as a history keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from specplan.track.plain import plain

FLAG = "not_finite"
"""Key of what an entry of a history says of the nulls in its metrics."""
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Curves(msgspec.Struct, frozen=True):
    """Metrics as they were given.

    Attributes:
        values: lists, or single values, of floats, ints, texts and lists of them.
        numbers: of those that are numbers throughout, all as floats.
    """

    values: dict[str, Any]
    numbers: dict[str, list[float]]

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> Curves:
        """Take tuples, arrays and numbers of numpy and torch as lists and numbers.

        Raises:
            TypeError: `metrics` is no mapping, or a value is none that JSON holds.
        """
        if not isinstance(metrics, Mapping):
            raise TypeError(f"metrics is a mapping of lists, not {type(metrics).__name__}")
        values = {
            str(name): _restored(plain(_listed(value), f"metric {name}"))
            for name, value in metrics.items()
        }
        numbers = {name: row for name, value in values.items() if (row := _row(value)) is not None}
        return cls(values, numbers)


def noted(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry as its file has it: null for numbers that JSON has not, and beside them which they are."""
    flags: dict[str, dict[str, str]] = {}
    metrics: dict[str, Any] = {}
    for name, value in entry["metrics"].items():
        row = _row(value)
        odd = [] if row is None else [i for i, item in enumerate(row) if not math.isfinite(item)]
        metrics[name] = value
        if odd and isinstance(value, list):
            flags[name] = {str(index): str(value[index]) for index in odd}
            metrics[name] = [None if index in odd else item for index, item in enumerate(value)]
        elif odd:
            flags[name] = {"": str(value)}
            metrics[name] = None
    return {**entry, "metrics": metrics, **({FLAG: flags} if flags else {})}


def restored(entry: dict[str, Any]) -> dict[str, Any]:
    """What `noted` was given."""
    metrics = dict(entry["metrics"])
    for name, places in entry.get(FLAG, {}).items():
        for place, text in places.items():
            if place == "":
                metrics[name] = _NOT_FINITE[text]
            else:
                metrics[name] = [*metrics[name]]
                metrics[name][int(place)] = _NOT_FINITE[text]
    return {key: value for key, value in entry.items() if key != FLAG} | {"metrics": metrics}


def _listed(value: Any) -> Any:
    """Iterators as lists: they can be read once."""
    is_other = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    return list(value) if is_other and not hasattr(value, "tolist") else value


def _restored(value: Any) -> Any:
    """`plain` writes NaN and infinity as texts; here they are numbers still."""
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _row(value: Any) -> list[float] | None:
    items = value if isinstance(value, list) else [value]
    if all(isinstance(item, int | float) for item in items):
        return [float(item) for item in items]
    return None
