"""From the name of a model to its module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.models.torch.cnn import cnn, temporal_cnn
from specplan.models.torch.mlp import mlp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    Shape = tuple[int, ...]

MODELS: Mapping[str, Callable[[Mapping[str, Any], Shape, Shape], nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "temporal_cnn": temporal_cnn,
}


def build_module(
    use: str, arguments: Mapping[str, Any], *, input_shape: Shape, output_shape: Shape
) -> nn.Module:
    """The module of a model, its weights drawn from torch's global generator."""
    return MODELS[use](arguments, input_shape, output_shape)
