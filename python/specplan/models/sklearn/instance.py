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
    """Whether `model` is an estimator: of a class of scikit-learn, or of one that is derived from its base."""
    bases = ((base.__module__, base.__name__) for base in type(model).__mro__)
    return ("sklearn.base", "BaseEstimator") in bases and not isinstance(model, type)


def checked_unfitted(model: Any) -> None:
    """Raise ValueError if the estimator is fitted already."""
    fitted = [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]
    if fitted:
        raise ValueError(
            f"this {type(model).__name__} is fitted already (it has {quoted(fitted[:3])}); a plan fits "
            "its nodes itself: pass a new one, or `sklearn.base.clone` of this one"
        )


def component_of(model: Any) -> ComponentSpec | None:
    """The class of an estimator and those of its parameters that are not at their defaults.

    None where a spec cannot name this class, or cannot write the value of a parameter.
    """
    use = _public_name(type(model))
    if use is None:
        return None
    known = estimators()[use]
    component: ComponentSpec = {"use": use}
    for name, value in model.get_params(deep=False).items():
        if name not in known.parameters:
            if value is not None:
                return None
            continue
        plain = _plain(value)
        if plain is _NO_VALUE:
            return None
        if as_written(known, name, plain) != known.parameters[name]:
            component[name] = plain
    return component


def _public_name(cls: type) -> str | None:
    for use in estimators():
        module, _, name = use.partition(":")
        if name == cls.__name__ and getattr(sys.modules.get(module), name, None) is cls:
            return use
    return None


_NO_VALUE = object()


def _plain(value: Any) -> Any:
    """The value as a spec writes it; `_NO_VALUE` where it cannot."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return _NO_VALUE if _NO_VALUE in items else items
    if isinstance(value, dict):
        members = {key: _plain(item) for key, item in value.items()}
        return _NO_VALUE if _NO_VALUE in members.values() else members
    plain = value is None or isinstance(value, bool | int | float | str)
    return value if plain else _NO_VALUE
