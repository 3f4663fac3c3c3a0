"""Metrics by name: over all rows of a split at once, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


def accuracy(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Share of equal labels; outputs with one axis more than the targets are scores of the classes."""
    predicted = outputs.argmax(axis=1) if outputs.ndim > targets.ndim else outputs
    return float(np.mean(predicted == targets))


def mean_absolute_error(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Mean over rows and elements."""
    return float(np.mean(np.abs(_difference(outputs, targets))))


def mean_squared_error(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Mean over rows and elements."""
    return float(np.mean(_difference(outputs, targets) ** 2))


def root_mean_squared_error(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """As in scikit-learn: the root is taken for each element of a row, then the mean over them."""
    return float(np.mean(np.sqrt(np.mean(_difference(outputs, targets) ** 2, axis=0))))


def r2(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Mean over the elements of a row. A constant target scores 1 when it is met exactly and 0 otherwise; one row scores NaN."""
    if len(targets) < 2:
        return float("nan")
    true = _matrix(targets)
    residual = np.sum(_difference(outputs, targets) ** 2, axis=0)
    total = np.sum((true - true.mean(axis=0)) ** 2, axis=0)
    constant = total == 0
    scores = 1 - residual / np.where(constant, 1, total)
    return float(np.mean(np.where(constant, residual == 0, scores)))


METRICS: Mapping[str, Callable[[NDArray[Any], NDArray[Any]], float]] = {
    "accuracy": accuracy,
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    "rmse": root_mean_squared_error,
    "r2": r2,
}


def _matrix(rows: NDArray[Any]) -> NDArray[np.float64]:
    return rows.reshape(len(rows), -1).astype(np.float64)


def _difference(outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    return _matrix(outputs) - _matrix(targets)
