"""A preview puts everything back, also when it fails."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from specplan import (
    Callback,
    EvalPhase,
    PhaseGroup,
    RunError,
    SimpleSampler,
    TrainPhase,
)

if TYPE_CHECKING:
    from tests.objects.parts import Parts


class Drawing(Callback):
    """Draws from every global generator, and fails in an epoch."""

    def __init__(self, failing_epoch: int | None = None) -> None:
        super().__init__()
        self.failing_epoch = failing_epoch

    def on_epoch_end(self, exec_ctx: Any) -> None:  # type: ignore[override]
        torch.rand(3)
        np.random.rand(3)
        random.random()
        if exec_ctx.epoch_idx == self.failing_epoch:
            raise ValueError("enough")


def train(parts: Parts, callback: Callback) -> TrainPhase:
    sampler = SimpleSampler(batch_size=10, shuffle=True)
    return TrainPhase.from_split(
        "train", "train", sampler, [parts.loss], n_epochs=3, callbacks=[callback]
    )


def group(parts: Parts, callback: Callback) -> PhaseGroup:
    return PhaseGroup(
        "group", [train(parts, callback), EvalPhase.from_split("eval", "test", [parts.loss])]
    )


def everything(parts: Parts) -> dict[str, Any]:
    """The state of the experiment and of the process, as values that can be compared."""
    live = parts.experiment._calls.live
    assert live is not None
    state, optimizer = live.state, live.state.optimizer
    assert optimizer is not None
    return {
        "weights": {
            name: value.tolist()
            for label, module in state.modules().items()
            for name, value in module.state_dict(prefix=label).items()
        },
        "modes": [module.training for module in state.modules().values()],
        "learning": [
            parameter.requires_grad
            for module in state.modules().values()
            for parameter in module.parameters()
        ],
        "optimizer": repr(optimizer.state_dict()),
        "steps": state.steps,
        "history": len(parts.experiment.history),
        "torch": torch.get_rng_state().tolist(),
        "numpy": repr(np.random.get_state()),
        "python": random.getstate(),
    }


@pytest.mark.parametrize("failing_epoch", [None, 1])
@pytest.mark.parametrize("what", ["phase", "group", "run"])
def test_everything_is_put_back(parts: Parts, what: str, failing_epoch: int | None) -> None:
    parts.experiment.run_phase(train(parts, Drawing()))
    before = everything(parts)
    callback = Drawing(failing_epoch)
    parts.experiment.execution_plan.add_group(group(parts, callback))

    def preview() -> None:
        if what == "phase":
            parts.experiment.preview_phase(train(parts, callback))
        elif what == "group":
            parts.experiment.preview_group(group(parts, callback))
        else:
            parts.experiment.preview_run()

    if failing_epoch is None:
        preview()
    else:
        with pytest.raises(RunError, match="enough"):
            preview()
    assert everything(parts) == before


def test_a_preview_before_any_run_leaves_the_weights_fresh(parts: Parts) -> None:
    state = random.getstate(), torch.get_rng_state().tolist(), repr(np.random.get_state())
    fresh = parts.experiment.preview_phase(train(parts, Drawing())).tensors("MLP").stacked()
    assert state == (random.getstate(), torch.get_rng_state().tolist(), repr(np.random.get_state()))
    run = parts.experiment.run_phase(train(parts, Drawing())).tensors("MLP").stacked()
    np.testing.assert_array_equal(fresh, run)
