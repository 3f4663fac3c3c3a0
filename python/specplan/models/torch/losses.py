"""Losses by name: functions of a batch of outputs and one of targets, reduced by the mean."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from specplan.plan.model import Component

LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "huber": functional.huber_loss,
    "cross_entropy": functional.cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
}


def build_loss(component: Component) -> Callable[..., Tensor]:
    """The loss with its parameters bound; returns a tensor of shape ()."""
    function = LOSSES[component.use]
    return partial(function, **component.args) if component.args else function
