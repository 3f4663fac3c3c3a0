from __future__ import annotations

import pytest
import torch

from specplan.errors import RunError
from specplan.run.state import State
from tests.run import specs


def step(state: State, component: dict[str, object]) -> None:
    from specplan.plan.model import Component

    optimizer = state.optimizer_for(Component(use="adam", args=component))
    loss = state.nodes["Net"](torch.ones(4, 10)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    state.steps += 1


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    State().add_nodes(specs.compiled(specs.train()).plan)
    assert torch.equal(torch.rand(1), expected)


def test_other_nodes_do_not_change_the_weights_of_one() -> None:
    alone, both = State(), State()
    alone.add_nodes(specs.compiled(specs.train()).plan)
    nodes = {"A": specs.node(specs.MLP), "Net": specs.node(specs.MLP)}
    both.add_nodes(specs.compiled(specs.train(), nodes=nodes).plan)
    assert specs.same_weights(alone.nodes["Net"], both.nodes["Net"])
    assert not specs.same_weights(both.nodes["A"], both.nodes["Net"])


def test_a_snapshot_brings_back_weights_optimizer_steps_and_generator() -> None:
    state = State()
    state.add_nodes(specs.compiled(specs.train()).plan)
    module = state.nodes["Net"]
    for _ in range(3):
        step(state, {"lr": 0.1})
    snapshot = state.capture()
    drawn = torch.rand(1)
    step(state, {"lr": 0.1})
    after = [p.detach().clone() for p in module.parameters()]
    for _ in range(2):
        state.restore(snapshot)
        assert state.steps == 3
        assert torch.equal(torch.rand(1), drawn)
        step(state, {"lr": 0.1})
        assert state.nodes["Net"] is module
        assert all(torch.equal(a, b) for a, b in zip(after, module.parameters(), strict=True))


def test_nodes_that_come_later_join_the_optimizer() -> None:
    state = State()
    plan = specs.compiled(specs.train()).plan
    state.add_nodes(plan)
    first = state.optimizers_for(plan.phases[0])[0]  # type: ignore[arg-type]
    nodes = {"Net": specs.node(specs.MLP), "Other": specs.node(specs.MLP)}
    later = specs.compiled(specs.train(), nodes=nodes).plan
    state.add_nodes(later)
    assert state.optimizers_for(later.phases[0])[0] is first  # type: ignore[arg-type]
    assert sum(len(group["params"]) for group in first.param_groups) == 12


def test_a_node_for_which_there_is_no_memory() -> None:
    plan = specs.compiled(
        specs.train(), nodes={"Net": specs.node(specs.MLP | {"hidden_dim": 1_000_000})}
    ).plan
    with pytest.raises(RunError, match=r"node `Net` cannot be built: .*memory"):
        State().add_nodes(plan)
