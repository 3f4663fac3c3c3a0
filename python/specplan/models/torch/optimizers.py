"""Optimizers by name, with torch's own defaults for all that a plan does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}


def build_optimizer(
    use: str, arguments: Mapping[str, Any], parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer of `parameters`, in their order."""
    plain = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in arguments.items()
    }
    make = OPTIMIZERS[use] if ":" not in use else getattr(torch.optim, use.partition(":")[2])
    optimizer: torch.optim.Optimizer = make(parameters, **plain)
    return optimizer
