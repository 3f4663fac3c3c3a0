from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics

from specplan.run.metrics import METRICS

NAMES = {
    "mse": sklearn.metrics.mean_squared_error,
    "rmse": sklearn.metrics.root_mean_squared_error,
    "mae": sklearn.metrics.mean_absolute_error,
    "r2": sklearn.metrics.r2_score,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 3), (200, 2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_metrics_are_those_of_scikit_learn(name: str, shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    outputs = rng.standard_normal(shape).astype(dtype)
    targets = (outputs + 10 + rng.standard_normal(shape)).astype(dtype)
    expected = NAMES[name](
        targets.reshape(200, -1).astype("float64"), outputs.reshape(200, -1).astype("float64")
    )
    assert METRICS[name](outputs, targets) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_r2_of_a_constant_target(offset: float) -> None:
    targets = np.full(5, 2.0)
    expected = sklearn.metrics.r2_score(targets, targets + offset)
    assert METRICS["r2"](targets + offset, targets) == expected == 1.0 - offset


def test_r2_of_one_row_is_no_number() -> None:
    assert math.isnan(METRICS["r2"](np.zeros(1), np.zeros(1)))


def test_accuracy_of_scores_and_of_labels() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    labels = np.array([1, 0, 0])
    assert METRICS["accuracy"](scores, labels) == pytest.approx(2 / 3)
    assert METRICS["accuracy"](np.array([1, 0, 1]), labels) == pytest.approx(2 / 3)
