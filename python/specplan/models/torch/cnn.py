"""The convolutional network `cnn`, over rows of rank 2 or 3."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from torch import nn

from specplan.models.torch.activation import ACTIVATIONS
from specplan.models.torch.rows import viewed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Shape = tuple[int, ...]

_CONVOLUTIONS: Mapping[int, Callable[..., nn.Module]] = {2: nn.Conv1d, 3: nn.Conv2d}
_POOLINGS: Mapping[int, Callable[[int], nn.Module]] = {2: nn.MaxPool1d, 3: nn.MaxPool2d}


def cnn(arguments: Mapping[str, Any], input_shape: Shape, output_shape: Shape) -> nn.Module:
    """Layers in the order in which a hand-written `nn.Sequential` would create them."""
    rank = len(input_shape)
    channels, *extent = input_shape
    hidden, kernel = arguments["hidden_dim"], arguments["kernel_size"]
    stride, padding = arguments["stride"], arguments["padding"]
    pooling, dropout = arguments["pooling"], arguments["dropout"]
    layers: list[nn.Module] = []
    for _ in range(arguments["n_layers"]):
        layers.append(_CONVOLUTIONS[rank](channels, hidden, kernel, stride=stride, padding=padding))
        layers.append(ACTIVATIONS[arguments["activation"]]())
        if pooling > 1:
            layers.append(_POOLINGS[rank](pooling))
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        channels = hidden
        extent = [((size + 2 * padding - kernel) // stride + 1) // pooling for size in extent]
    layers += [nn.Flatten(), nn.Linear(hidden * prod(extent), prod(output_shape))]
    return nn.Sequential(*layers, *viewed(output_shape))
