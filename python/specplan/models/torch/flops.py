"""Floating-point operations of a module, counted by torch while it computes a few rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from specplan.base.flops import ModelFlops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    Batch = Tensor | list[Tensor]

_FEW, _ROWS = 2, 3


def counted(module: nn.Module, batch: Callable[[int], Batch]) -> ModelFlops | None:
    """Operations of one row; None where those of a batch are not proportional to its rows.

    The module is in training afterwards, and asks for no gradient. `batch` makes a batch of so many rows.
    """
    trained = [each for each in module.parameters() if each.requires_grad]
    # Outside training, torch computes whole layers in operators that its counter does not know.
    module.train()
    with _in_operators_that_are_known():
        few, _ = _passes(module, batch(_FEW), [], inputs=False)
        passes = [
            _passes(module, batch(_ROWS), trained if weights else [], inputs=inputs)
            for weights, inputs in ((True, False), (False, True), (True, True))
        ]
    numbers = (passes[0][0], *(backward for _, backward in passes))
    if few * _ROWS != numbers[0] * _FEW or any(number % _ROWS for number in numbers):
        return None
    return ModelFlops(*(number // _ROWS for number in numbers))


def _passes(
    module: nn.Module, batch: Batch, trained: list[nn.Parameter], *, inputs: bool
) -> tuple[int, int]:
    """Of a forward pass, and of the backward pass for the gradients of `trained`, and of the inputs if so."""
    read = [batch] if isinstance(batch, Tensor) else batch
    asked = [*trained, *(read if inputs else [])]
    module.requires_grad_(requires_grad=False)
    for each in asked:
        each.requires_grad_()
    # Code may change what it reads in place, which torch refuses for the tensors that gradients are asked of.
    given = [each.clone() for each in read]
    with torch.enable_grad(), FlopCounterMode(display=False) as forward:
        outputs: Tensor = module(given[0] if isinstance(batch, Tensor) else given)
    if not outputs.requires_grad:
        return forward.get_total_flops(), 0
    with FlopCounterMode(display=False) as backward:
        torch.autograd.grad(outputs.sum(), asked, allow_unused=True)
    return forward.get_total_flops(), backward.get_total_flops()


@contextmanager
def _in_operators_that_are_known() -> Iterator[None]:
    """Without oneDNN, which computes recurrent layers in one operator that the counter does not know."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before
