"""Models in torch. Importing this package does not import torch: a run does, when it builds them."""

from specplan.models.torch.sequential import SequentialCNN as SequentialCNN
from specplan.models.torch.sequential import SequentialMLP as SequentialMLP
from specplan.models.torch.sequential import TemporalCNN as TemporalCNN
from specplan.models.torch.wrapper import TorchModelWrapper as TorchModelWrapper

__all__ = ["SequentialCNN", "SequentialMLP", "TemporalCNN", "TorchModelWrapper"]
