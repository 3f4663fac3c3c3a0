"""Losses by name: functions of a batch of outputs and one of targets, reduced by the mean."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "huber": functional.huber_loss,
    "cross_entropy": functional.cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
    "triplet_margin": functional.triplet_margin_loss,
}


def class_of(name: str) -> Callable[..., Any]:
    """The class of a loss in `torch.nn`."""
    found: Callable[..., Any] = getattr(import_module("torch.nn"), name)
    return found


def build_loss(use: str, arguments: Mapping[str, Any]) -> Callable[..., Tensor]:
    """The loss with its parameters bound; returns a tensor of shape ()."""
    if ":" in use:
        made: Callable[..., Tensor] = class_of(use.partition(":")[2])(**arguments)
        return made
    return partial(LOSSES[use], **arguments) if arguments else LOSSES[use]


def weighted_loss(use: str, arguments: Mapping[str, Any]) -> Callable[..., Tensor]:
    """The loss as a function of its arguments and a weight for each row: the mean of the weighted rows."""
    each = partial(LOSSES[use], **arguments, reduction="none")

    def compute(*values: Tensor) -> Tensor:
        rows = each(*values[:-1])
        return (rows.reshape(len(rows), -1).mean(1) * values[-1]).mean()

    return compute
