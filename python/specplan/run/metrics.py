"""Metrics by name: over all rows of a split at once, in float64."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


def accuracy(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Share of equal labels; outputs with one axis more than the targets are scores of the classes."""
    return float(np.mean(_labels(outputs, targets) == targets))


def balanced_accuracy(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Mean over the classes that targets have."""
    counts = _counts(outputs, targets)
    present = counts.of_targets > 0
    return float(np.mean(counts.right[present] / counts.of_targets[present]))


def precision(outputs: NDArray[Any], targets: NDArray[Any], average: str) -> float:
    """As in scikit-learn, with 0 where there is nothing to divide by."""
    counts = _counts(outputs, targets)
    return _averaged(counts, counts.right, counts.of_outputs, average)


def recall(outputs: NDArray[Any], targets: NDArray[Any], average: str) -> float:
    """As in scikit-learn, with 0 where there is nothing to divide by."""
    counts = _counts(outputs, targets)
    return _averaged(counts, counts.right, counts.of_targets, average)


def f1(outputs: NDArray[Any], targets: NDArray[Any], average: str) -> float:
    """As in scikit-learn, with 0 where there is nothing to divide by."""
    counts = _counts(outputs, targets)
    return _averaged(counts, 2 * counts.right, counts.of_outputs + counts.of_targets, average)


def binary_accuracy(outputs: NDArray[Any], targets: NDArray[Any], threshold: float) -> float:
    """Share of elements on the right side of the threshold."""
    return float(np.mean((_matrix(outputs) > threshold) == (_matrix(targets) > 0.5)))


def roc_auc(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Mean over the elements of a row; NaN where all targets of one are the same."""
    areas = []
    for scores, true in zip(_matrix(outputs).T, _matrix(targets).T, strict=True):
        positive = true > 0.5
        ones, zeros = np.count_nonzero(positive), np.count_nonzero(~positive)
        # Equal scores share the mean of their ranks, so that a pair of them counts half.
        _, index, count = np.unique(scores, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(count) - (count - 1) / 2)[index]
        above = ranks[positive].sum() - ones * (ones + 1) / 2
        areas.append(above / (ones * zeros) if ones and zeros else float("nan"))
    return float(np.mean(areas))


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


METRICS: Mapping[str, Callable[..., float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "binary_accuracy": binary_accuracy,
    "roc_auc": roc_auc,
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    "rmse": root_mean_squared_error,
    "r2": r2,
}


def build_metric(name: str, options: Mapping[str, Any]) -> Callable[..., float]:
    """A metric as a function of all outputs and targets of a split."""
    return partial(METRICS[name], **options)


class _Counts(NamedTuple):
    """Elements of each class that outputs or targets have: right ones, those given it, those that have it."""

    classes: NDArray[Any]
    right: NDArray[np.int64]
    of_outputs: NDArray[np.int64]
    of_targets: NDArray[np.int64]


def _labels(outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    return outputs.argmax(axis=1) if outputs.ndim > targets.ndim else outputs


def _counts(outputs: NDArray[Any], targets: NDArray[Any]) -> _Counts:
    given, true = _labels(outputs, targets).ravel(), targets.ravel()
    classes, index = np.unique(np.concatenate([given, true]), return_inverse=True)
    given, true = index[: len(given)], index[len(given) :]
    count = partial(np.bincount, minlength=len(classes))
    return _Counts(classes, count(true[given == true]), count(given), count(true))


def _averaged(
    counts: _Counts, above: NDArray[np.int64], below: NDArray[np.int64], average: str
) -> float:
    if average == "micro":
        return float(above.sum() / below.sum())
    if average == "binary":
        above, below = above[counts.classes == 1], below[counts.classes == 1]
    scores = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    if average == "weighted":
        return float(np.average(scores, weights=counts.of_targets))
    return float(scores.mean()) if len(scores) else 0.0


def _matrix(rows: NDArray[Any]) -> NDArray[np.float64]:
    return rows.reshape(len(rows), -1).astype(np.float64)


def _difference(outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    return _matrix(outputs) - _matrix(targets)
