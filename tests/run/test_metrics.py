from __future__ import annotations

import math
import warnings
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sklearn.metrics

from specplan.run.metrics import METRICS, build_metric
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

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


CLASSES = {
    "accuracy": sklearn.metrics.accuracy_score,
    "balanced_accuracy": sklearn.metrics.balanced_accuracy_score,
    "precision": partial(sklearn.metrics.precision_score, zero_division=0),
    "recall": partial(sklearn.metrics.recall_score, zero_division=0),
    "f1": partial(sklearn.metrics.f1_score, zero_division=0),
}
AVERAGES = [
    (name, {"average": average})
    for name in ("precision", "recall", "f1")
    for average in ("macro", "micro", "weighted")
]


@pytest.mark.parametrize(
    ("name", "options"), [("accuracy", {}), ("balanced_accuracy", {}), *AVERAGES]
)
@pytest.mark.parametrize("of", ["labels", "scores", "places"])
def test_metrics_of_classes_are_those_of_scikit_learn(
    name: str, options: dict[str, str], of: str
) -> None:
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 4, size=(60, 3) if of == "places" else 60)
    shape = (60, 6, 3) if of == "places" else (60, 6)  # classes 4 and 5 are only ever given
    outputs = rng.integers(1, 5, size=60) if of == "labels" else rng.standard_normal(shape)
    labels = outputs if of == "labels" else outputs.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class that targets do not have
        expected = CLASSES[name](targets.ravel(), labels.ravel(), **options)
    assert build_metric(name, options)(outputs, targets) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_metrics_of_class_1(name: str) -> None:
    metric = build_metric(name, {"average": "binary"})
    targets, labels = np.array([0, 1, 1, 0, 1]), np.array([0, 1, 0, 1, 1])
    assert metric(labels, targets) == pytest.approx(CLASSES[name](targets, labels))
    assert metric(np.zeros(5), np.zeros(5)) == 0.0


def test_metrics_of_one_logit() -> None:
    rng = np.random.default_rng(2)
    targets = rng.integers(0, 2, size=(80, 1))
    logits = np.round(rng.standard_normal((80, 1)) + targets, 1)  # some are equal
    expected = sklearn.metrics.roc_auc_score(targets, logits)
    assert METRICS["roc_auc"](logits, targets) == pytest.approx(expected, rel=1e-12)
    for threshold in (0.0, 0.5):
        metric = build_metric("binary_accuracy", {"threshold": threshold})
        assert metric(logits, targets) == np.mean((logits > threshold) == targets)
    both = METRICS["roc_auc"](np.hstack([logits, -logits]), np.hstack([targets, targets]))
    assert both == pytest.approx(0.5)
    assert math.isnan(METRICS["roc_auc"](logits, np.ones((80, 1))))


def test_r2_of_one_row_is_no_number() -> None:
    assert math.isnan(METRICS["r2"](np.zeros(1), np.zeros(1)))


def test_accuracy_of_scores_and_of_labels() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    labels = np.array([1, 0, 0])
    assert METRICS["accuracy"](scores, labels) == pytest.approx(2 / 3)
    assert METRICS["accuracy"](np.array([1, 0, 1]), labels) == pytest.approx(2 / 3)


def test_a_run_measures_one_logit_and_classes(tmp_path: Path) -> None:
    columns = specs.images()
    columns["y"] = (columns["y"] > 4).astype(np.int64)
    nodes = {
        "Net": specs.node({**specs.MLP, "output_shape": [1]}),
        "Tree": specs.node({"use": "sklearn.tree:DecisionTreeClassifier", "max_depth": 2}),
    }
    losses = {"bce": {"use": "bce_with_logits", "node": "Net"}}
    metrics = {
        "area": {"use": "roc_auc", "node": "Net"},
        "share": {"use": "binary_accuracy", "node": "Net", "threshold": -0.5},
        "f1": {"use": "f1", "node": "Tree", "average": "weighted"},
    }
    plan = specs.compiled(
        specs.fit(),
        specs.train(losses=["bce"]),
        specs.evaluation(losses=["bce"], metrics=[*metrics], record="all"),
        columns=columns,
        nodes=nodes,
        losses=losses,
        metrics=metrics,
    )
    outcome = specs.run(plan, tmp_path)
    true = columns["y"][specs.rows_of(200, "test")]
    logits = np.concatenate(specs.recorded(outcome, "eval", "outputs")).ravel()
    measured = {name: specs.values(outcome, "eval", name)[0] for name in metrics}
    assert measured["area"] == pytest.approx(sklearn.metrics.roc_auc_score(true, logits))
    assert measured["share"] == np.mean((logits > -0.5) == true)
    assert 0 < measured["f1"] < 1
