"""Summaries of values that were gathered: mean, deviation, percentiles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


def summary(values: Sequence[float], aggregations: Sequence[str]) -> dict[str, float]:
    """The aggregations of the finite and infinite values; NaN is left out, and of nothing there is none.

    The deviation is that of the sample, 0 for one value. Percentiles are interpolated linearly.

    Raises:
        ValueError: there is no such aggregation.
    """
    check_aggregations(aggregations)
    kept = [value for value in values if not math.isnan(value)]
    if not kept:
        return {}
    import numpy as np

    array = np.array(kept)
    return {name: float(AGGREGATIONS[name](array)) for name in aggregations}


def check_aggregations(aggregations: Sequence[str]) -> None:
    """Raise ValueError where one is unknown."""
    for name in aggregations:
        if name not in AGGREGATIONS:
            raise ValueError(f"no aggregation `{name}`; known: {choices(name, AGGREGATIONS)}")


def _percentile(percent: int) -> Callable[[NDArray[Any]], float]:
    def of(values: NDArray[Any]) -> float:
        import numpy as np

        return float(np.percentile(values, percent))

    return of


def _deviation(values: NDArray[Any]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


AGGREGATIONS: dict[str, Callable[[NDArray[Any]], float]] = {
    "mean": lambda values: float(values.mean()),
    "std": _deviation,
    "min": lambda values: float(values.min()),
    "max": lambda values: float(values.max()),
    "count": len,
    "median": _percentile(50),
    "sum": lambda values: float(values.sum()),
    "p50": _percentile(50),
    "p90": _percentile(90),
    "p95": _percentile(95),
    "p99": _percentile(99),
    "first": lambda values: float(values[0]),
    "last": lambda values: float(values[-1]),
}
