from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline

from specplan.models.sklearn.instance import checked_unfitted, component_of, is_estimator


def test_an_estimator_is_named_with_what_is_not_default() -> None:
    assert component_of(LinearRegression()) == {"use": "sklearn.linear_model:LinearRegression"}
    assert component_of(RandomForestRegressor(n_estimators=np.int64(7), random_state=3)) == {
        "use": "sklearn.ensemble:RandomForestRegressor",
        "n_estimators": 7,
        "random_state": 3,
    }


def test_only_estimators_of_scikit_learn_are_estimators() -> None:
    class Mine:
        def get_params(self) -> None: ...

    assert is_estimator(Ridge())
    assert not is_estimator(Mine())
    assert not is_estimator(Ridge)


def test_what_a_spec_cannot_name_or_write_is_no_component() -> None:
    class MyRidge(Ridge):  # type: ignore[misc]
        pass

    MyRidge.__module__ = "sklearn.linear_model._ridge"
    assert component_of(MyRidge()) is None
    assert component_of(Pipeline([("ridge", Ridge())])) is None
    assert component_of(Ridge(random_state=np.random.RandomState(0))) is None


def test_a_fitted_estimator_is_refused() -> None:
    fitted = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^this LinearRegression is fitted already "):
        checked_unfitted(fitted)
