"""From an estimator that a Python program made to the component that a spec writes. Imports no scikit-learn."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.models.sklearn.table import as_written, estimators
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from specplan.spec.model import ComponentSpec


def is_estimator(model: object) -> bool:
    """Whether `model` is an instance of a class of scikit-learn."""
    return type(model).__module__.partition(".")[0] == "sklearn" and hasattr(model, "get_params")


def component_of(model: Any) -> ComponentSpec:
    """The class of an estimator and those of its parameters that are not at their defaults.

    Raises:
        TypeError: a spec cannot name this class, or cannot write the value of a parameter.
        ValueError: the estimator is fitted already.
    """
    use = _public_name(type(model))
    known = estimators()[use]
    fitted = [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]
    if fitted:
        raise ValueError(
            f"this {type(model).__name__} is fitted already (it has {quoted(fitted[:3])}); a plan fits "
            "its nodes itself: pass a new one, or `sklearn.base.clone` of this one"
        )
    component: ComponentSpec = {"use": use}
    for name, value in model.get_params(deep=False).items():
        if name not in known.parameters:
            if value is not None:
                raise TypeError(f"{type(model).__name__}: a spec cannot set the parameter `{name}`")
            continue
        plain = _plain(type(model).__name__, name, value)
        if as_written(known, name, plain) != known.parameters[name]:
            component[name] = plain
    return component


def _public_name(cls: type) -> str:
    for use in estimators():
        module, _, name = use.partition(":")
        if name == cls.__name__ and getattr(sys.modules.get(module), name, None) is cls:
            return use
    raise TypeError(
        f"{cls.__name__} of {cls.__module__} is not one of the scikit-learn estimators that a spec can name"
    )


def _plain(estimator: str, parameter: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(estimator, parameter, item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(estimator, parameter, item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{estimator}: a spec cannot write the value of `{parameter}`, a {type(value).__name__}"
    )
