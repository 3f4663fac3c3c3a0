"""What can be said of a scaler by its declaration alone."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from specplan.components import COMPONENTS
from specplan.components.scaler import MinMax, PerSampleMinMax, Robust, Segmented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.components.component import Component

LEARNING = frozenset({"standard", "min_max", "max_abs", "robust", "quantile", "power", "segmented"})
"""The scalers for which it matters which rows they are fitted on."""


def learns(use: str, part: str | None = None) -> bool:
    """Whether it matters which rows a scaler is fitted on; that of one that is no built-in is not known, so that it does.

    `part` is the scaler of each part of a segmented one.
    """
    if part is not None:
        return learns(part)
    return use in LEARNING or use not in COMPONENTS["scaler"]


def fault(scaler: Component, elements: int | None) -> tuple[str, str] | None:
    """The argument with which a scaler cannot scale rows of so many elements, and why; None if it can."""
    match scaler:
        case MinMax(feature_range=(low, high)) | PerSampleMinMax(feature_range=(low, high)):
            if low >= high:
                return "feature_range", f"the range [{low:g}, {high:g}] does not ascend"
        case Robust(quantile_range=(low, high)):
            if not 0 <= low < high <= 100:
                return "quantile_range", f"[{low:g}, {high:g}] are no two quantiles in percent"
        case Segmented(boundaries=bounds):
            return _segments_fault(scaler, bounds, elements)
    return None


def _segments_fault(
    scaler: Segmented, bounds: Sequence[int], elements: int | None
) -> tuple[str, str] | None:
    if bounds[0] != 0 or any(first >= second for first, second in pairwise(bounds)):
        return "boundaries", f"{list(bounds)} do not ascend from 0"
    if elements is not None and bounds[-1] != elements:
        return (
            "boundaries",
            f"{list(bounds)} end at {bounds[-1]}, and a row has {elements} elements",
        )
    try:
        inner = msgspec.convert(
            {**scaler.arguments, "use": scaler.scaler}, COMPONENTS["scaler"][scaler.scaler]
        )
    except msgspec.ValidationError as error:
        return "arguments", f"`{scaler.scaler}` does not take them: {error}"
    found = fault(inner, None)
    return None if found is None else ("arguments", found[1])


def scaled_dtype(dtypes: Sequence[str]) -> str:
    """The type of what a scaler makes of columns of these types."""
    return "float32" if set(dtypes) == {"float32"} else "float64"
