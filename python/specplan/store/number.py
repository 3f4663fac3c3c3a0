"""The value of a metric, as whoever logs it has it."""

from __future__ import annotations


def number(name: str, value: object) -> float:
    """A metric's value as a float; numbers of numpy and torch count, texts do not.

    Raises:
        TypeError: it is no number.
    """
    if not isinstance(value, int | float):
        item = getattr(value, "item", None)
        value = item() if callable(item) and _is_single(value) else value
    if not isinstance(value, int | float):
        raise TypeError(f"Metric {name} must be numeric, got {type(value)}")
    return float(value)


def _is_single(value: object) -> bool:
    return getattr(value, "size", 1) == 1 or getattr(value, "numel", lambda: 0)() == 1
