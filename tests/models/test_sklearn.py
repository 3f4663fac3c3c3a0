from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from specplan.errors import PlanError
from specplan.models.sklearn.build import build_estimator, fitted, outputs
from specplan.models.sklearn.table import estimators

FOREST = "sklearn.ensemble:RandomForestRegressor"


def test_a_float_that_json_would_write_as_an_integer_stays_a_float() -> None:
    forest = build_estimator(FOREST, {"max_features": {"$float": "1.0"}, "n_estimators": 3})
    assert forest.get_params()["max_features"] == 1.0
    assert isinstance(forest.get_params()["max_features"], float)


@pytest.mark.parametrize("use", ["os:system", "sklearn.utils:Bunch", "sklearn.linear_model:Nope"])
def test_only_listed_estimators_are_imported(use: str) -> None:
    message = f"`{use}` is not one of the scikit-learn estimators that a plan may name"
    with pytest.raises(PlanError, match=re.escape(message)):
        build_estimator(use, {})


def test_an_argument_that_the_installed_version_lacks_is_named() -> None:
    with pytest.raises(PlanError, match=r"`sklearn\.linear_model:Ridge` in scikit-learn .*nope"):
        build_estimator("sklearn.linear_model:Ridge", {"nope": 1})


def test_rows_are_flattened_and_outputs_viewed() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 2, 3)), rng.standard_normal((20, 1))
    ridge = build_estimator("sklearn.linear_model:Ridge", {})
    found = fitted(ridge, x, y)
    assert found is not ridge
    assert found.coef_.shape == (6,)
    rows = outputs("predict", dtype="float32", shape=(1,))(found, x)
    assert rows.dtype.name == "float32"
    assert rows.shape == (20, 1)
    wide = fitted(ridge, x, rng.standard_normal((20, 2, 2)))
    rows = outputs("predict", dtype="float64", shape=(4,))(wide, x)
    assert rows.shape == (20, 4)


@pytest.mark.filterwarnings("ignore:Class .* is deprecated:FutureWarning")
@pytest.mark.parametrize("use", estimators())
def test_every_estimator_takes_its_recorded_defaults(use: str) -> None:
    estimator: Any = build_estimator(use, estimators()[use].parameters)
    estimator._validate_params()


def test_a_tuple_that_json_writes_as_a_list_stays_a_tuple() -> None:
    scaler = build_estimator("sklearn.preprocessing:MinMaxScaler", {"feature_range": [-1, 1]})
    rows = fitted(scaler, np.arange(4.0)[:, None], None).transform([[0.0], [3.0]])
    assert rows.tolist() == [[-1.0], [1.0]]
