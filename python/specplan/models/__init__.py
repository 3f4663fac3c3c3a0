"""What a node can compute with, as a Python program names it. Imports neither torch nor scikit-learn."""

from specplan.models.sklearn.wrapper import ScikitModelWrapper as ScikitModelWrapper
from specplan.models.torch.sequential import SequentialCNN as SequentialCNN
from specplan.models.torch.sequential import SequentialMLP as SequentialMLP
from specplan.models.torch.wrapper import TorchModelWrapper as TorchModelWrapper
from specplan.models.wrap import wrap_model as wrap_model

__all__ = [
    "ScikitModelWrapper",
    "SequentialCNN",
    "SequentialMLP",
    "TorchModelWrapper",
    "wrap_model",
]
