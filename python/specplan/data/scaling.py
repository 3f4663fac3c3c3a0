"""Scalers at work: made of their declarations, fitted, and applied to joined columns."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from specplan.data import own_scalers
from specplan.data.scaler_faults import scaled_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

SKLEARN: Mapping[str, str] = {
    "standard": "StandardScaler",
    "min_max": "MinMaxScaler",
    "max_abs": "MaxAbsScaler",
    "robust": "RobustScaler",
    "normalizer": "Normalizer",
    "quantile": "QuantileTransformer",
    "power": "PowerTransformer",
}
"""The scalers that scikit-learn computes, with its names of them."""

OWN: Mapping[str, Callable[..., Scaling]] = {
    "absolute": own_scalers.Absolute,
    "negate": own_scalers.Negate,
    "per_sample_min_max": own_scalers.PerSampleMinMaxScaler,
    "per_sample_zero_start": own_scalers.PerSampleZeroStart,
}


class Scaling(Protocol):
    """A scaler. Rows are of shape (rows, elements), floats."""

    def fit(self, rows: NDArray[Any], /) -> object:
        """Learn from rows; raises ValueError where it cannot."""

    def transform(self, rows: NDArray[Any], /) -> NDArray[Any]:
        """The rows, scaled."""

    def inverse_transform(self, rows: NDArray[Any], /) -> NDArray[Any]:
        """The rows as they were; raises ValueError where that cannot be known."""

    state: Any
    """What was learned, as plain values."""


def made(use: str, arguments: Mapping[str, Any]) -> Scaling:
    """The scaler that a component names, not fitted.

    Raises:
        ModuleNotFoundError: it is one of scikit-learn's, which is not installed.
    """
    if use == "segmented":
        bounds = arguments["boundaries"]
        inner, given = arguments["scaler"], arguments.get("arguments", {})
        return own_scalers.Segments(bounds, [made(inner, given) for _ in pairwise(bounds)])
    if use in OWN:
        return OWN[use](**arguments)
    from specplan.models.sklearn.scalers import SklearnScaler

    return SklearnScaler(SKLEARN[use], arguments)


def scaled(
    scaler: Scaling, columns: Sequence[NDArray[Any]], fit_rows: NDArray[np.int64] | None
) -> list[NDArray[Any]]:
    """Fit a scaler on some rows of the joined columns, all for None, and give all rows of each, read-only.

    Raises:
        ValueError: the scaler cannot be fitted on these values.
    """
    rows = joined(columns)
    scaler.fit(rows if fit_rows is None else rows[fit_rows])
    return applied(scaler, columns)


def applied(scaler: Scaling, columns: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """What a fitted scaler makes of each of the joined columns, read-only."""
    rows = joined(columns)
    found = np.asarray(scaler.transform(rows)).astype(rows.dtype, copy=False)
    return apart(found, [column.shape[1:] for column in columns])


def joined(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Columns as floats, side by side, each row flattened: of shape (rows, elements)."""
    dtype = scaled_dtype([column.dtype.name for column in columns])
    flat = [column.reshape(len(column), -1).astype(dtype, copy=False) for column in columns]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


def apart(rows: NDArray[Any], shapes: Sequence[tuple[int, ...]]) -> list[NDArray[Any]]:
    """What `joined` put together, contiguous and read-only, with these shapes of a row."""
    found = []
    start = 0
    for shape in shapes:
        end = start + prod(shape)
        column = np.ascontiguousarray(rows[:, start:end]).reshape(len(rows), *shape)
        column.flags.writeable = False
        found.append(column)
        start = end
    return found
