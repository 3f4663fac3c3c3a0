"""From a scikit-learn node of a plan to its estimator, and how estimators are fitted and asked."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module, resources
from typing import TYPE_CHECKING, Any

import sklearn
from sklearn.base import BaseEstimator, clone, is_classifier, is_clusterer, is_regressor

from specplan.errors import PlanError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.plan.model import Component, Node


def build_estimator(component: Component) -> BaseEstimator:
    """The estimator that a node names, not yet fitted.

    Raises:
        PlanError: the name is not a listed estimator of scikit-learn, or the installed scikit-learn lacks it
            or one of its arguments.
    """
    module, _, name = component.use.replace(":", ".").rpartition(".")
    if component.use not in _listed() or module.partition(".")[0] != "sklearn":
        msg = f"`{component.use}` is not one of the scikit-learn estimators that a plan may name"
        raise PlanError(msg)
    estimator = getattr(import_module(module), name, None)
    if not (isinstance(estimator, type) and issubclass(estimator, BaseEstimator)):
        msg = f"`{component.use}` is not an estimator in scikit-learn {sklearn.__version__}"
        raise PlanError(msg)
    try:
        return estimator(**_decoded(component.args))
    except TypeError as exception:
        msg = f"`{component.use}` in scikit-learn {sklearn.__version__}: {exception}"
        raise PlanError(msg) from exception


def fitted(estimator: BaseEstimator, inputs: NDArray[Any], targets: NDArray[Any] | None) -> Any:
    """A copy of `estimator` fitted on all rows; the estimator itself never changes."""
    fresh = clone(estimator)
    if targets is None:
        return fresh.fit(_matrix(inputs))
    return fresh.fit(_matrix(inputs), _labels(targets))


def outputs(estimator: Any, node: Node, inputs: NDArray[Any]) -> NDArray[Any]:
    """Predictions, or the transformed rows of an estimator that does not predict, as the plan's dtype and shape."""
    predicts = is_regressor(estimator) or is_classifier(estimator) or is_clusterer(estimator)
    compute = estimator.predict if predicts else estimator.transform
    rows = compute(_matrix(inputs))
    return rows.astype(node.dtype, copy=False).reshape(len(inputs), *node.shape)


@cache
def _listed() -> frozenset[str]:
    text = resources.files("specplan.models.sklearn").joinpath("estimators.json").read_text("utf-8")
    return frozenset(json.loads(text))


def _decoded(value: Any) -> Any:
    """Arguments as scikit-learn takes them: `{"$float": "1.0"}` is the float that JSON cannot tell from 1."""
    if isinstance(value, dict):
        if value.keys() == {"$float"}:
            return float(value["$float"])
        return {name: _decoded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value


def _matrix(rows: NDArray[Any]) -> NDArray[Any]:
    return rows.reshape(len(rows), -1)


def _labels(rows: NDArray[Any]) -> NDArray[Any]:
    """Targets as scikit-learn wants them: one axis where a row has one element."""
    matrix = _matrix(rows)
    return matrix[:, 0] if matrix.shape[1] == 1 else matrix
