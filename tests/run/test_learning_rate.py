"""The learning rate follows torch's schedulers, and is that of the optimizer again after the phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.optim import lr_scheduler

from specplan.code.trust import trust
from specplan.errors import RunError
from specplan.plan.explain import explain
from specplan.plan.model import LearningRate
from specplan.run.learning_rate import factor
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

STEPS, EPOCHS = 5, 6
TOTAL = STEPS * EPOCHS


def rule(**changes: Any) -> LearningRate:
    plain = {"schedule": "constant", "warmup": 0, "final": 0.1, "gamma": 0.5, "every_n_epochs": 2}
    return LearningRate(**(plain | changes))  # type: ignore[arg-type]


def by_torch(schedule: str, optimizer: torch.optim.Optimizer) -> tuple[Any, bool]:
    """The scheduler, and whether it makes a step for each batch."""
    match schedule:
        case "linear":
            linear = lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=TOTAL - 1)
            return linear, True
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, TOTAL - 1, eta_min=0.1), True
        case "exponential":
            return lr_scheduler.ExponentialLR(optimizer, 0.5), False
    return lr_scheduler.StepLR(optimizer, 2, 0.5), False


@pytest.mark.parametrize("schedule", ["linear", "cosine", "exponential", "step"])
def test_factors_are_those_of_torch(schedule: str) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, each_batch = by_torch(schedule, optimizer)
    for step in range(TOTAL):
        ours = factor(rule(schedule=schedule), step, steps=STEPS, epochs=EPOCHS)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if each_batch or (step + 1) % STEPS == 0:
            scheduler.step()


def test_it_rises_first() -> None:
    factors = [factor(rule(warmup=4), step, steps=STEPS, epochs=EPOCHS) for step in range(6)]
    assert factors == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    last = factor(rule(warmup=4, schedule="linear"), TOTAL - 1, steps=STEPS, epochs=EPOCHS)
    assert last == pytest.approx(0.1)


def test_training_is_that_of_a_hand_written_loop(tmp_path: Path) -> None:
    callback = {"use": "learning_rate", "schedule": "cosine", "warmup": 3, "final": 0.5}
    adam = {"use": "sgd", "lr": 0.1}
    plan = specs.compiled(specs.train(callbacks=[callback], epochs=3), optimizer=adam)
    assert "learning rate: rises for 3 steps, cosine to 0.5 of itself in the last step" in explain(
        plan.plan
    )
    outcome = specs.run(plan, tmp_path)
    (phase,) = plan.plan.phases
    scheduled = plan.plan.phases[0].learning_rate  # type: ignore[union-attr]
    assert scheduled is not None
    rates = [
        factor(scheduled, step, steps=phase.steps, epochs=3) for step in range(3 * phase.steps)
    ]

    plain = specs.compiled(specs.train(epochs=3), optimizer=adam)
    fresh = specs.run(specs.compiled(specs.evaluation(), optimizer=adam), tmp_path).state
    module = fresh.nodes["Net"]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    columns = specs.regression()
    rows = specs.rows_of(500, "train")
    x = torch.tensor(columns["x"][rows], dtype=torch.float32)
    y = torch.tensor(columns["y"][rows], dtype=torch.float32).reshape(-1, 1)
    module.train()
    numbered = iter(rates)
    for epoch in range(3):
        for batch in specs.epoch_order(len(rows), epoch).split(32):
            optimizer.param_groups[0]["lr"] = 0.1 * next(numbered)
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(module(x[batch]), y[batch]).backward()
            optimizer.step()
    assert specs.same_weights(outcome.state.nodes["Net"], module)
    other = specs.run(plain, tmp_path).state.nodes["Net"]
    assert not specs.same_weights(outcome.state.nodes["Net"], other)
    assert outcome.state.optimizer is not None
    assert [group["lr"] for group in outcome.state.optimizer.param_groups] == [0.1]


def test_an_optimizer_without_a_rate_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECPLAN_CONFIG", str(tmp_path / "config"))
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n\n\nclass Fixed(torch.optim.SGD):\n"
        "    def __init__(self, params):\n        super().__init__(params, lr=0.1)\n"
    )
    trust(file)
    phase = specs.train(callbacks=[{"use": "learning_rate", "warmup": 2}])
    plan = specs.compiled(phase, optimizer={"use": "./mine.py:Fixed"}, folder=tmp_path)
    message = r"^optimizer `./mine.py:Fixed` has no argument `lr`, which the callback learning_rate needs$"
    with pytest.raises(RunError, match=message):
        specs.run(plan, tmp_path / "runs")
