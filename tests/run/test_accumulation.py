"""Gradients of several batches make one step of the optimizer, and are cut before it, as a loop by hand does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from specplan.errors import SpecError
from specplan.plan.cost import cost
from specplan.plan.cost_text import cost_text
from specplan.plan.explain import explain
from specplan.plan.model import Train
from tests.run import specs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from specplan.plan.model import Compiled

EPOCHS = 2
SGD = {"use": "sgd", "lr": 0.1, "momentum": 0.9}


def plan_of(
    *phases: dict[str, Any], clip: dict[str, float] | None = None, **changes: Any
) -> Compiled:
    return specs.compiled(*phases, optimizer=SGD, clip=clip, **changes)


def by_hand(
    root: Path,
    *,
    batch_size: int = 32,
    accumulate: int = 1,
    clip: Callable[[list[nn.Parameter]], object] = lambda _: None,
) -> nn.Module:
    """The module of a loop as everybody writes it: the loss of each batch is divided by the size of its group."""
    fresh = specs.run(specs.compiled(specs.evaluation(), optimizer=SGD), root).state
    module: nn.Module = fresh.nodes["Net"]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    columns, rows = specs.regression(), specs.rows_of(500, "train")
    x = torch.tensor(columns["x"][rows], dtype=torch.float32)
    y = torch.tensor(columns["y"][rows], dtype=torch.float32).reshape(-1, 1)
    module.train()
    for epoch in range(EPOCHS):
        batches = specs.epoch_order(len(rows), epoch).split(batch_size)
        for first in range(0, len(batches), accumulate):
            group = batches[first : first + accumulate]
            optimizer.zero_grad()
            for batch in group:
                loss = torch.nn.functional.mse_loss(module(x[batch]), y[batch])
                (loss / len(group)).backward()
            clip(list(module.parameters()))
            optimizer.step()
    return module


@pytest.mark.parametrize("accumulate", [2, 3, 13, 50])
def test_it_is_the_loop_by_hand(tmp_path: Path, accumulate: int) -> None:
    # 13 batches of 32 rows: no group but the last is cut short.
    outcome = specs.run(plan_of(specs.train(accumulate=accumulate)), tmp_path)
    module = by_hand(tmp_path, accumulate=accumulate)
    assert specs.same_weights(outcome.state.nodes["Net"], module)
    assert outcome.state.steps == EPOCHS * 13


def test_it_is_a_large_batch(tmp_path: Path) -> None:
    # 400 rows: 10 groups of 40, or 20 batches of 20 two by two.
    sampler = {"use": "simple", "batch_size": 20, "shuffle": True, "seed": 7}
    small = specs.run(plan_of(specs.train(accumulate=2, sampler=sampler)), tmp_path)
    large = specs.run(plan_of(specs.train(sampler=sampler | {"batch_size": 40})), tmp_path)
    pairs = zip(
        small.state.nodes["Net"].parameters(), large.state.nodes["Net"].parameters(), strict=True
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    losses = [specs.values(each, "train", "train_loss") for each in (small, large)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ("clip", "cut"),
    [
        ({"norm": 0.05}, lambda parameters: clip_grad_norm_(parameters, 0.05)),
        ({"value": 0.01}, lambda parameters: clip_grad_value_(parameters, 0.01)),
        (
            {"norm": 0.02, "value": 0.01},
            lambda parameters: (
                clip_grad_value_(parameters, 0.01),
                clip_grad_norm_(parameters, 0.02),
            ),
        ),
    ],
    ids=["norm", "value", "both"],
)
def test_gradients_are_cut_when_all_of_a_group_are_there(
    tmp_path: Path, clip: dict[str, float], cut: Callable[[list[nn.Parameter]], object]
) -> None:
    outcome = specs.run(plan_of(specs.train(accumulate=2), clip=clip), tmp_path)
    assert specs.same_weights(outcome.state.nodes["Net"], by_hand(tmp_path, accumulate=2, clip=cut))
    assert not specs.same_weights(outcome.state.nodes["Net"], by_hand(tmp_path, accumulate=2))


def test_each_optimizer_has_its_own_limit(tmp_path: Path) -> None:
    def weights(clip: dict[str, float] | None) -> list[nn.Module]:
        own = {"optimizer": SGD}
        nodes = {"Left": {**specs.node(specs.MLP), **own, "clip": clip}}
        nodes["Net"] = {**specs.node(specs.MLP), **own}
        losses = {
            name: {"use": "mse", "node": node} for name, node in (("a", "Left"), ("b", "Net"))
        }
        plan = specs.compiled(
            specs.train(losses=["a", "b"]), nodes=nodes, losses=losses, optimizer=None
        )
        state = specs.run(plan, tmp_path).state
        return [state.nodes["Left"], state.nodes["Net"]]

    free, cut = weights(None), weights({"norm": 0.01})
    assert not specs.same_weights(free[0], cut[0])
    assert specs.same_weights(free[1], cut[1])


def test_the_plan_says_it() -> None:
    plain, plan = (
        plan_of(specs.train(accumulate=accumulate), clip=clip).plan
        for accumulate, clip in ((1, None), (4, {"norm": 1.0}))
    )
    assert plain.id == specs.compiled(specs.train(), optimizer=SGD).plan.id != plan.id
    (phase,) = plan.phases
    assert isinstance(phase, Train)
    assert (phase.steps, phase.updates) == (13, 4)
    text = explain(plan)
    assert "adds up the gradients of 4 steps before the weights change: 8 updates" in text
    assert "trains Net, gradients cut to norm 1" in text
    (bill,) = cost(plan).phases
    assert (bill.steps, bill.updates) == (26, 8)
    assert "; 8 updates of the weights, of several batches each" in cost_text(cost(plan))


def test_schedules_go_on_with_each_update(tmp_path: Path) -> None:
    callback = {"use": "learning_rate", "schedule": "linear", "final": 0.0}
    phase = specs.train(accumulate=13, callbacks=[callback])
    # Two updates: with the whole rate, and with none of it.
    outcome = specs.run(plan_of(phase | {"epochs": 2}), tmp_path)
    once = specs.run(plan_of(specs.train(accumulate=13, epochs=1)), tmp_path)
    assert specs.same_weights(outcome.state.nodes["Net"], once.state.nodes["Net"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": {"norm": 0}}, "norm` is 0, must be more than 0"),
        ({"clip": {"max_norm": 1}}, "unknown key `max_norm`; known: norm, value"),
    ],
    ids=["nothing", "another word"],
)
def test_what_is_no_limit_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        plan_of(specs.train(), **changes)
    assert message in str(caught.value)
