"""Scalers of scikit-learn, and what they learned as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import preprocessing
from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Plain = Any


class SklearnScaler:
    """One of scikit-learn's scalers, by the name of its class."""

    def __init__(self, name: str, arguments: Mapping[str, Any]) -> None:
        given = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in arguments.items()
        }
        self._estimator: Any = getattr(preprocessing, name)(**given)

    def fit(self, rows: NDArray[Any]) -> None:
        """Learn from rows of shape (rows, elements); raises ValueError where it cannot."""
        self._estimator.fit(rows)

    def transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows, scaled."""
        scaled: NDArray[Any] = self._estimator.transform(rows)
        return scaled

    def inverse_transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows as they were; raises ValueError where that cannot be known."""
        if not hasattr(self._estimator, "inverse_transform"):
            name = type(self._estimator).__name__
            raise ValueError(f"{name} cannot be taken back: it keeps nothing of the norms")
        before: NDArray[Any] = self._estimator.inverse_transform(rows)
        return before

    @property
    def state(self) -> dict[str, Plain]:
        """What was learned."""
        return _state(self._estimator)

    @state.setter
    def state(self, state: Mapping[str, Plain]) -> None:
        _restore(self._estimator, state)


def _state(estimator: BaseEstimator) -> dict[str, Plain]:
    given = estimator.get_params(deep=False)
    learned = {name: value for name, value in vars(estimator).items() if name not in given}
    return {name: _plain(value) for name, value in learned.items()}


def _plain(value: Any) -> Plain:
    match value:
        case np.ndarray():
            return {
                "dtype": value.dtype.name,
                "shape": list(value.shape),
                "values": value.ravel().tolist(),
            }
        case np.generic():
            return {"dtype": value.dtype.name, "shape": [], "values": [value.item()]}
        case BaseEstimator():
            return {"estimator": type(value).__name__, "state": _state(value)}
    return value


def _restore(estimator: BaseEstimator, state: Mapping[str, Plain]) -> None:
    for name, value in state.items():
        setattr(estimator, name, _live(value))


def _live(value: Plain) -> Any:
    match value:
        case {"dtype": dtype, "shape": shape, "values": values}:
            array = np.array(values, dtype=dtype).reshape(shape)
            return array if shape else array[()]
        case {"estimator": name, "state": state}:
            # PowerTransformer keeps the scaler that it ends with.
            inner = preprocessing.StandardScaler(copy=False)
            if name != "StandardScaler":
                raise ValueError(f"a scaler holds a {name}, which this program does not know")
            _restore(inner, state)
            return inner
    return value
