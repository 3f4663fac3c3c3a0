"""The convolutional networks: `cnn`, over rows of up to three axes, and `temporal_cnn`, over rows of up to two."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from torch import nn

from specplan.models.torch.activation import ACTIVATIONS
from specplan.models.torch.rows import ViewRows, viewed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Shape = tuple[int, ...]

_CONVOLUTIONS: Mapping[int, Callable[..., nn.Module]] = {2: nn.Conv1d, 3: nn.Conv2d}
_POOLINGS: Mapping[int, Callable[[int], nn.Module]] = {2: nn.MaxPool1d, 3: nn.MaxPool2d}


def cnn(arguments: Mapping[str, Any], input_shape: Shape, output_shape: Shape) -> nn.Module:
    """Layers in the order in which a hand-written `nn.Sequential` would create them."""
    layers, (channels, *extent) = _as_channels(input_shape)
    rank = 1 + len(extent)
    hidden, kernel = arguments["hidden_dim"], arguments["kernel_size"]
    stride, padding = arguments["stride"], arguments["padding"]
    pooling = arguments["pooling"]
    for _ in range(arguments["n_layers"]):
        layers.append(_CONVOLUTIONS[rank](channels, hidden, kernel, stride=stride, padding=padding))
        layers.append(ACTIVATIONS[arguments["activation"]]())
        if pooling > 1:
            layers.append(_POOLINGS[rank](pooling))
        layers += _dropout(arguments)
        channels = hidden
        extent = [((size + 2 * padding - kernel) // stride + 1) // pooling for size in extent]
    return nn.Sequential(*layers, *_head(arguments, (hidden, *extent), output_shape))


def temporal_cnn(
    arguments: Mapping[str, Any], input_shape: Shape, output_shape: Shape
) -> nn.Module:
    """Layers in the order in which a hand-written `nn.Sequential` would create them."""
    layers, (channels, length) = _as_channels(input_shape)
    hidden, kernel = arguments["hidden_dim"], arguments["kernel_size"]
    for block in range(arguments["n_layers"]):
        apart = arguments["dilation"] ** block
        # Zeros before the first value only: nothing reads what comes after it.
        layers.append(nn.ConstantPad1d(((kernel - 1) * apart, 0), 0.0))
        layers.append(nn.Conv1d(channels, hidden, kernel, dilation=apart))
        layers.append(ACTIVATIONS[arguments["activation"]]())
        layers += _dropout(arguments)
        channels = hidden
    return nn.Sequential(*layers, *_head(arguments, (hidden, length), output_shape))


def _as_channels(shape: Shape) -> tuple[list[nn.Module], Shape]:
    """What views rows of one axis as one channel, and the shape that convolutions read."""
    return ([ViewRows((1, *shape))], (1, *shape)) if len(shape) == 1 else ([], shape)


def _dropout(arguments: Mapping[str, Any]) -> list[nn.Module]:
    return [nn.Dropout(arguments["dropout"])] if arguments["dropout"] > 0 else []


def _head(
    arguments: Mapping[str, Any], features: Sequence[int], output_shape: Shape
) -> list[nn.Module]:
    # Plans that are older than this parameter have not got it.
    if not arguments.get("flatten_output", True):
        return []
    linear = nn.Linear(prod(features), prod(output_shape))
    return [nn.Flatten(), linear, *viewed(output_shape)]
