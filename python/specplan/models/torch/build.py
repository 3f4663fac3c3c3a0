"""From a torch node of a plan to its module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.models.torch.cnn import cnn
from specplan.models.torch.mlp import mlp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from specplan.plan.model import Node, Shape

MODELS: Mapping[str, Callable[[Mapping[str, Any], Shape, Shape], nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
}


def build_module(node: Node) -> nn.Module:
    """The module of a torch node, its weights drawn from torch's global generator."""
    return MODELS[node.component.use](node.component.args, node.inputs[0].shape, node.shape)
