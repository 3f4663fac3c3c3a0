"""The multi-layer perceptron `mlp`."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

from torch import nn

from specplan.models.torch.activation import ACTIVATIONS
from specplan.models.torch.rows import flattened, viewed

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shape = tuple[int, ...]


def mlp(arguments: Mapping[str, Any], input_shape: Shape, output_shape: Shape) -> nn.Module:
    """Layers in the order in which a hand-written `nn.Sequential` would create them."""
    activation = ACTIVATIONS[arguments["activation"]]
    dropout = arguments["dropout"]
    layers = flattened(input_shape)
    widths = [prod(input_shape), *[arguments["hidden_dim"]] * arguments["n_layers"]]
    for width, next_width in pairwise(widths):
        layers += [nn.Linear(width, next_width), activation()]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    layers.append(nn.Linear(widths[-1], prod(output_shape)))
    return nn.Sequential(*layers, *viewed(output_shape))
