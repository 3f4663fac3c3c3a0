"""Estimators that a Python program holds: what they are, and how wide their rows are."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.base import clone, is_classifier


def kind_of(estimator: Any) -> Literal["regressor", "classifier", "transformer"]:
    """What an estimator does. One that does not predict transforms."""
    if not hasattr(estimator, "predict"):
        return "transformer"
    return "classifier" if is_classifier(estimator) else "regressor"


def width_of(estimator: Any, width: int) -> int:
    """Width of the rows that a transformer makes of rows of a width: a copy is fitted on a few random ones."""
    rows = np.random.default_rng(0).standard_normal((64, width))
    copy: Any = clone(estimator)
    made: Any = copy.fit_transform(rows, np.arange(64) % 2)
    return int(made.shape[1])
