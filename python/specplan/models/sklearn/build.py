"""From the name of a scikit-learn estimator to its object, and how estimators are fitted and asked."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import sklearn
from sklearn.base import BaseEstimator, clone, is_classifier

from specplan.errors import PlanError
from specplan.models.sklearn.table import decoded, estimators

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from specplan.plan.model import Node


def build_estimator(use: str, arguments: Mapping[str, Any]) -> BaseEstimator:
    """The estimator that `use` names as `module:Class`, not yet fitted.

    Raises:
        PlanError: the name is not a listed estimator, or the installed scikit-learn lacks it or one
            of its arguments.
    """
    module, _, name = use.partition(":")
    if use not in estimators() or module.partition(".")[0] != "sklearn":
        msg = f"`{use}` is not one of the scikit-learn estimators that a plan may name"
        raise PlanError(msg)
    found = getattr(import_module(module), name, None)
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        msg = f"`{use}` is not an estimator in scikit-learn {sklearn.__version__}"
        raise PlanError(msg)
    try:
        return found(**decoded(estimators()[use], arguments))
    except TypeError as error:
        msg = f"`{use}` in scikit-learn {sklearn.__version__}: {error}"
        raise PlanError(msg) from error


def fitted(
    estimator: BaseEstimator, inputs: NDArray[Any], targets: NDArray[Any] | None
) -> BaseEstimator:
    """A copy of `estimator` fitted on all rows; the estimator itself never changes."""
    copy: Any = clone(estimator)
    labels = () if targets is None else (_labels(targets),)
    copy.fit(_matrix(inputs), *labels)
    return copy


def unfitted(estimator: BaseEstimator) -> BaseEstimator:
    """A copy of an estimator with its parameters only."""
    copy: BaseEstimator = clone(estimator)
    return copy


def learn(estimator: Any, inputs: NDArray[Any], *targets: NDArray[Any], **given: Any) -> None:
    """Let an estimator learn from one more batch. It changes in place."""
    estimator.partial_fit(_matrix(inputs), *map(_labels, targets), **given)


def classifies(estimator: BaseEstimator) -> bool:
    """Whether an estimator predicts classes."""
    found: bool = is_classifier(estimator)
    return found


def method_of(node: Node) -> str:
    """What the estimator of a node is asked for."""
    if node.method is not None:
        return node.method
    return "transform" if estimators()[node.component.use].kind == "transformer" else "predict"


def outputs(
    method: str, *, dtype: str, shape: tuple[int, ...]
) -> Callable[[Any, NDArray[Any]], NDArray[Any]]:
    """A function of an estimator and rows: what a method of it gives, cast and viewed."""

    def compute(estimator: Any, inputs: NDArray[Any]) -> NDArray[Any]:
        rows: NDArray[Any] = getattr(estimator, method)(_matrix(inputs))
        return rows.astype(dtype, copy=False).reshape(len(inputs), *shape)

    return compute


def _matrix(rows: NDArray[Any]) -> NDArray[Any]:
    return rows.reshape(len(rows), -1)


def _labels(rows: NDArray[Any]) -> NDArray[Any]:
    """Targets as scikit-learn wants them: one axis where a row has one element."""
    matrix = _matrix(rows)
    return matrix[:, 0] if matrix.shape[1] == 1 else matrix
