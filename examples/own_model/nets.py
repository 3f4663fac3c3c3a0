"""A model, a loss and a metric that are not built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Gated(nn.Module):
    """A hidden layer whose values a second one opens and closes."""

    def __init__(
        self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], hidden: int = 32
    ) -> None:
        super().__init__()
        self.values = nn.Linear(input_shape[0], hidden)
        self.gates = nn.Linear(input_shape[0], hidden)
        self.last = nn.Linear(hidden, output_shape[0])

    def forward(self, rows: Tensor) -> Tensor:
        """One output row for each row."""
        hidden = torch.tanh(self.values(rows)) * torch.sigmoid(self.gates(rows))
        outputs: Tensor = self.last(hidden)
        return outputs


def pinball(outputs: Tensor, targets: Tensor, quantile: float = 0.5) -> Tensor:
    """Smallest where `quantile` of the targets lie below the outputs."""
    rest = targets - outputs
    return torch.maximum(quantile * rest, (quantile - 1) * rest).mean()


def share_below(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Share of the targets that lie below the outputs."""
    return float((targets < outputs).mean())
