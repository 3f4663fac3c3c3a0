"""What a step, or several together, do to the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.utils import clip_grad_norm_, clip_grad_value_

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from specplan.plan.model import Clip, Train
    from specplan.run.state import State


def updating(phase: Train, state: State) -> Callable[[torch.Tensor, int], None]:
    """What becomes of the loss of a batch, which has a number in its epoch: the change of all weights.

    Where a phase accumulates, gradients of the batches of a group are added up, each divided by the size
    of the group, and the last one of it changes the weights.
    """
    optimizers = state.optimizers_for(phase)
    if not optimizers:
        return _nothing
    step = _stepping(optimizers, _clips(phase))
    clear = _clearing(optimizers)
    if phase.accumulate == 1:

        def at_once(loss: torch.Tensor, _batch: int) -> None:
            clear()
            loss.backward()
            step()

        return at_once

    size, steps = phase.accumulate, phase.steps

    def in_groups(loss: torch.Tensor, batch: int) -> None:
        place = batch % size
        group = min(size, steps - batch + place)
        if place == 0:
            clear()
        (loss / group).backward()
        if place == group - 1:
            step()

    return in_groups


def _nothing(_loss: torch.Tensor, _batch: int) -> None:
    """Estimators have learned when they were computed."""


def _clips(phase: Train) -> list[Clip | None]:
    """The limits of each optimizer of a phase."""
    if phase.optimizer is not None:
        return [phase.clip]
    return [phase.clips.get(label) for label in phase.optimizers]


def _clearing(optimizers: Sequence[torch.optim.Optimizer]) -> Callable[[], None]:
    if len(optimizers) == 1:
        return optimizers[0].zero_grad

    def clear() -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()

    return clear


def _stepping(
    optimizers: Sequence[torch.optim.Optimizer], clips: Sequence[Clip | None]
) -> Callable[[], object]:
    steps = [_step(*pair) for pair in zip(optimizers, clips, strict=True)]
    if len(steps) == 1:
        return steps[0]

    def step() -> None:
        for each in steps:
            each()

    return step


def _step(optimizer: torch.optim.Optimizer, clip: Clip | None) -> Callable[[], object]:
    """A step of one optimizer, whose gradients are made smaller first."""
    if clip is None:
        return optimizer.step

    def clipped() -> None:
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        if clip.value is not None:
            clip_grad_value_(parameters, clip.value)
        if clip.norm is not None:
            clip_grad_norm_(parameters, clip.norm)
        optimizer.step()

    return clipped
