"""What one step does to the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch


def updating(optimizers: Sequence[torch.optim.Optimizer]) -> Callable[[torch.Tensor], None]:
    """The change of all weights by the gradients of a loss."""

    def nothing(_loss: torch.Tensor) -> None:
        """Estimators have learned when they were computed."""

    def by_one(loss: torch.Tensor) -> None:
        zero_grad()
        loss.backward()
        step()

    def by_several(loss: torch.Tensor) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()

    if not optimizers:
        return nothing
    zero_grad, step = optimizers[0].zero_grad, optimizers[0].step
    return by_one if len(optimizers) == 1 else by_several
