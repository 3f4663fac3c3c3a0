"""The learning rate follows torch's schedulers, and is that of the optimizer again after the phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.optim import lr_scheduler

from specplan.code.trust import trust
from specplan.errors import RunError, SpecError
from specplan.plan.explain import explain
from specplan.plan.model import LearningRate
from specplan.run.learning_rate import factor, momentum_of, rate_of
from tests.run import specs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS, EPOCHS = 5, 6
TOTAL = STEPS * EPOCHS


def rule(**changes: Any) -> LearningRate:
    plain: dict[str, Any] = {
        "schedule": "constant",
        "warmup": 0,
        "final": 0.1,
        "gamma": 0.5,
        "every_n_epochs": 2,
    }
    plain |= {"milestones": (5, 2)}
    return LearningRate(**(plain | changes))


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
        case "multi_step":
            return lr_scheduler.MultiStepLR(optimizer, [2, 5], 0.5), False
    return lr_scheduler.StepLR(optimizer, 2, 0.5), False


@pytest.mark.parametrize("schedule", ["linear", "cosine", "exponential", "step", "multi_step"])
def test_factors_are_those_of_torch(schedule: str) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, each_batch = by_torch(schedule, optimizer)
    for step in range(TOTAL):
        ours = factor(rule(schedule=schedule), step, steps=STEPS, epochs=EPOCHS)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if each_batch or (step + 1) % STEPS == 0:
            scheduler.step()


@pytest.mark.parametrize("total", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_one_cycle_is_that_of_torch_bit_for_bit(total: int, anneal: str) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=0.3,
        total_steps=total,
        pct_start=0.31,
        anneal_strategy=anneal,  # type: ignore[arg-type]
        div_factor=7.0,
        final_div_factor=90.0,
        base_momentum=0.6,
        max_momentum=0.9,
    )
    cycle = rule(
        schedule="one_cycle",
        pct_start=0.31,
        div_factor=7.0,
        final_div_factor=90.0,
        anneal_strategy=anneal,
        cycle_momentum=True,
        base_momentum=0.6,
        max_momentum=0.9,
    )
    for step in range(total):
        [group] = optimizer.param_groups
        assert rate_of(cycle, 0.3, step, steps=total, epochs=1) == group["lr"]
        assert momentum_of(cycle, step, steps=total, epochs=1) == group["momentum"]
        optimizer.step()
        if step + 1 < total:
            scheduler.step()


def test_a_cycle_that_is_at_its_top_at_once() -> None:
    cycle = rule(schedule="one_cycle", pct_start=0.5)
    assert [rate_of(cycle, 1.0, step, steps=2, epochs=1) for step in range(2)] == [1.0, 4e-6]


PLATEAU = {"use": "reduce_on_plateau", "monitor": "val_loss", "factor": 0.3, "patience": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 0.05},
        {"threshold": 0.02, "threshold_mode": "abs", "cooldown": 1, "min_lr": 0.01},
        {"mode": "max", "threshold": 0.05},
        {"mode": "max", "threshold": 0.02, "threshold_mode": "abs"},
    ],
    ids=["part", "difference", "max, part", "max, difference"],
)
def test_a_rate_that_falls_on_a_plateau_is_that_of_torch(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    evaluation = {"use": "evaluation", "split": "test", "as": "val", "every_n_epochs": 2}
    sgd = {"use": "sgd", "lr": 0.2}
    phase = specs.train(callbacks=[evaluation, PLATEAU | changes], epochs=8)
    plan = specs.compiled(phase, optimizer=sgd)
    assert "times 0.3 when val_loss" in explain(plan.plan)
    outcome = specs.run(plan, tmp_path)
    values = specs.values(outcome, "train", "val_loss")
    assert len(values) == 4

    fresh = specs.run(specs.compiled(specs.evaluation(), optimizer=sgd), tmp_path).state
    module = fresh.nodes["Net"]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2)
    given = {
        key: value for key, value in (PLATEAU | changes).items() if key not in ("use", "monitor")
    }
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, **given)  # type: ignore[arg-type]
    columns = specs.regression()
    rows = specs.rows_of(500, "train")
    x = torch.tensor(columns["x"][rows], dtype=torch.float32)
    y = torch.tensor(columns["y"][rows], dtype=torch.float32).reshape(-1, 1)
    module.train()
    for epoch in range(8):
        for batch in specs.epoch_order(len(rows), epoch).split(32):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(module(x[batch]), y[batch]).backward()
            optimizer.step()
        if epoch % 2:
            scheduler.step(values[epoch // 2])
    assert optimizer.param_groups[0]["lr"] < 0.2
    assert specs.same_weights(outcome.state.nodes["Net"], module)
    assert outcome.state.optimizer is not None
    assert [group["lr"] for group in outcome.state.optimizer.param_groups] == [0.2]


def test_a_plateau_of_nothing_is_told() -> None:
    phase = specs.train(callbacks=[PLATEAU])
    message = "reduce_on_plateau monitors `val_loss`, which no epoch produces; produced: `train_loss`, `mse`"
    with pytest.raises(SpecError) as caught:
        specs.compiled(phase)
    assert message in str(caught.value)
    assert "SP655" in str(caught.value)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"schedule": "one_cycle", "warmup": 2}, "`one_cycle` rises by itself"),
        ({"schedule": "multi_step"}, "`multi_step` has no `milestones`"),
        ({"schedule": "cosine", "cycle_momentum": True}, "`cosine` leaves the momentum alone"),
    ],
    ids=["cycle", "steps", "momentum"],
)
def test_what_a_schedule_contradicts_is_told(schedule: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        specs.compiled(specs.train(callbacks=[{"use": "learning_rate", **schedule}]))


CYCLE = {"use": "learning_rate", "schedule": "one_cycle", "cycle_momentum": True}


def test_an_optimizer_without_momentum_has_none_to_cycle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = specs.train(callbacks=[CYCLE])
    specs.compiled(phase, optimizer={"use": "torch.optim:NAdam"})
    with pytest.raises(SpecError, match="`torch.optim:Adagrad` has neither a momentum nor"):
        specs.compiled(phase, optimizer={"use": "torch.optim:Adagrad"})
    monkeypatch.setenv("SPECPLAN_CONFIG", str(tmp_path / "config"))
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n\n\nclass Mine(torch.optim.Adagrad):\n"
        "    def __init__(self, params, lr=0.1):\n        super().__init__(params, lr=lr)\n"
    )
    trust(file)
    plan = specs.compiled(phase, optimizer={"use": "./mine.py:Mine"}, folder=tmp_path)
    with pytest.raises(RunError, match="^optimizer `Mine` has neither momentum nor betas"):
        specs.run(plan, tmp_path / "runs")


@pytest.mark.parametrize("use", ["sgd", "adam"])
def test_training_in_a_cycle_of_momentum_is_that_of_torch(tmp_path: Path, use: str) -> None:
    given = {"use": use, "lr": 0.02} | ({"momentum": 0.3} if use == "sgd" else {})
    plan = specs.compiled(specs.train(callbacks=[CYCLE], epochs=3), optimizer=given)
    assert "momentum goes from 0.95 to 0.85 and back" in explain(plan.plan)
    outcome = specs.run(plan, tmp_path)
    (phase,) = plan.plan.phases
    module = untrained(tmp_path)
    arguments = {name: value for name, value in given.items() if name != "use"}
    optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[use](
        module.parameters(), **arguments
    )
    total = 3 * phase.steps
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=total)
    for step, (x, y) in enumerate(batches_by_hand(epochs=3)):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(module(x), y).backward()
        optimizer.step()
        if step + 1 < total:
            scheduler.step()
    assert specs.same_weights(outcome.state.nodes["Net"], module)
    assert outcome.state.optimizer is not None
    [group] = outcome.state.optimizer.param_groups
    assert group["lr"] == 0.02
    assert group["betas"][0] == 0.9 if use == "adam" else group["momentum"] == 0.3


def test_it_rises_first() -> None:
    factors = [factor(rule(warmup=4), step, steps=STEPS, epochs=EPOCHS) for step in range(6)]
    assert factors == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    last = factor(rule(warmup=4, schedule="linear"), TOTAL - 1, steps=STEPS, epochs=EPOCHS)
    assert last == pytest.approx(0.1)


def untrained(root: Path) -> torch.nn.Module:
    """The node with its first weights, in train mode."""
    module: torch.nn.Module = specs.run(specs.compiled(specs.evaluation()), root).state.nodes["Net"]
    return module.train()


def batches_by_hand(epochs: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    columns, rows = specs.regression(), specs.rows_of(500, "train")
    x = torch.tensor(columns["x"][rows], dtype=torch.float32)
    y = torch.tensor(columns["y"][rows], dtype=torch.float32).reshape(-1, 1)
    for epoch in range(epochs):
        for batch in specs.epoch_order(len(rows), epoch).split(32):
            yield x[batch], y[batch]


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
    module = untrained(tmp_path)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    numbered = iter(rates)
    for x, y in batches_by_hand(epochs=3):
        optimizer.param_groups[0]["lr"] = 0.1 * next(numbered)
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(module(x), y).backward()
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
    message = r"^optimizer `./mine.py:Fixed` has no argument `lr`, which a change of the learning rate needs$"
    with pytest.raises(RunError, match=message):
        specs.run(plan, tmp_path / "runs")
