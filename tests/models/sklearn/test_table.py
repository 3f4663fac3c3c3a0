"""The recorded table against the installed scikit-learn."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn

from specplan.models.sklearn.table import (
    as_written,
    decode_floats,
    encode_floats,
    estimators,
    refusal,
)

ROOT = Path(__file__).parents[3]
TABLE = ROOT / "python/specplan/models/sklearn/estimators.json"
FOREST = "sklearn.ensemble:RandomForestRegressor"


@pytest.mark.parametrize("use", ["sklearn.linear_model:Ridge", FOREST, "sklearn.decomposition:PCA"])
def test_defaults_are_those_of_the_class(use: str) -> None:
    module, _, name = use.partition(":")
    made = getattr(importlib.import_module(module), name)()
    recorded = {
        parameter: decode_floats(value) for parameter, value in estimators()[use].parameters.items()
    }
    assert recorded == {name: made.get_params()[name] for name in recorded}


@pytest.mark.skipif(
    json.loads(TABLE.read_text(encoding="utf-8"))["scikit_learn"] != sklearn.__version__,
    reason="the table was recorded from another version",
)
def test_table_is_in_step() -> None:
    tool = ROOT / "tools/generate_estimators.py"
    assert subprocess.run([sys.executable, tool, "--check"], check=False).returncode == 0


def test_every_default_is_accepted() -> None:
    for use, estimator in estimators().items():
        for parameter, value in estimator.parameters.items():
            assert refusal(estimator, parameter, decode_floats(value)) is None, (use, parameter)


@pytest.mark.parametrize(
    ("parameter", "value", "takes"),
    [
        ("n_estimators", 0, "an integer at least 1"),
        ("n_estimators", True, "an integer at least 1"),
        ("n_estimators", 2.5, "an integer at least 1"),
        ("bootstrap", 1, "`true` or `false`"),
        (
            "max_features",
            1.5,
            "an integer at least 1, a number above 0 and at most 1, `log2`, `sqrt`, `null`",
        ),
        ("criterion", "mse", "`absolute_error`, `poisson`, `squared_error`"),
        ("n_estimators", 3, None),
        ("max_features", 0.5, None),
        ("max_depth", None, None),
    ],
)
def test_values(parameter: str, value: Any, takes: str | None) -> None:
    assert refusal(estimators()[FOREST], parameter, value) == takes


def test_numbers_are_written_as_the_type_that_is_taken() -> None:
    forest, ridge = estimators()[FOREST], estimators()["sklearn.linear_model:Ridge"]
    assert as_written(forest, "n_estimators", 5.0) == 5
    assert as_written(ridge, "alpha", 1) == {"$float": "1.0"}
    assert as_written(forest, "max_features", 1) == 1
    assert as_written(forest, "max_features", 1.0) == {"$float": "1.0"}


def test_floats_come_back() -> None:
    value = {"a": [1.0, 0.5, -math.inf, 2], "b": {"c": 1e300}}
    assert decode_floats(encode_floats(value)) == value
    assert np.isnan(decode_floats(encode_floats(math.nan)))
