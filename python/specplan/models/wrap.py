"""From whatever a program has as a model to what a node holds."""

from __future__ import annotations

from typing import Any

from specplan.models.sklearn.instance import is_estimator
from specplan.models.sklearn.wrapper import ScikitModelWrapper
from specplan.models.torch.sequential import Sequential
from specplan.models.torch.wrapper import TorchModelWrapper, is_module, is_module_class

Model = Sequential | TorchModelWrapper | ScikitModelWrapper


def wrap_model(model: Any) -> Model:
    """The model itself, or a wrapper of a torch module, of a class of such, or of an estimator.

    Raises:
        TypeError: it is none of these.
        ValueError: an estimator is fitted already.
    """
    if isinstance(model, Model):
        return model
    if is_module_class(model):
        return TorchModelWrapper(model_class=model)
    if is_module(model):
        return TorchModelWrapper(model)
    if is_estimator(model):
        return ScikitModelWrapper(model)
    raise TypeError(
        "model is a SequentialMLP, SequentialCNN or TemporalCNN, a torch module or a scikit-learn estimator, "
        f"not {type(model).__name__}"
    )
