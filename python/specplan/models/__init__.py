"""What a node can compute with, as a Python program names it. Imports neither torch nor scikit-learn."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specplan.models.sklearn.wrapper import ScikitModelWrapper as ScikitModelWrapper
    from specplan.models.torch.sequential import SequentialCNN as SequentialCNN
    from specplan.models.torch.sequential import SequentialMLP as SequentialMLP
    from specplan.models.torch.sequential import TemporalCNN as TemporalCNN
    from specplan.models.torch.wrapper import TorchModelWrapper as TorchModelWrapper
    from specplan.models.wrap import wrap_model as wrap_model

# The compiler reads tables that lie in this package, and most specs need no more of it.
_MODULES = {
    "ScikitModelWrapper": "sklearn.wrapper",
    "SequentialCNN": "torch.sequential",
    "SequentialMLP": "torch.sequential",
    "TemporalCNN": "torch.sequential",
    "TorchModelWrapper": "torch.wrapper",
    "wrap_model": "wrap",
}

__all__ = [
    "ScikitModelWrapper",
    "SequentialCNN",
    "SequentialMLP",
    "TemporalCNN",
    "TorchModelWrapper",
    "wrap_model",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'specplan.models' has no attribute {name!r}")
    value = getattr(import_module(f"specplan.models.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
