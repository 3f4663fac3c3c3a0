from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from specplan.errors import RunError, StoreError
from specplan.plan.model import Train
from specplan.run.state import State
from specplan.run.state_file import read_state, write_state
from specplan.run.state_values import copied, encode, pack, unpack
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Plan

FOREST = {"use": "sklearn.ensemble:RandomForestRegressor", "n_estimators": 3}
NODES = {
    "Net": specs.node(specs.MLP | {"dropout": 0.1}),
    "Forest": specs.node(FOREST),
}


def trained(tmp_path: Path, **changes: Any) -> tuple[Plan, State]:
    plan = specs.compiled(
        specs.fit(active=["Forest"]), specs.train(active=["Net"]), nodes=NODES, **changes
    )
    return plan.plan, specs.run(plan, tmp_path / "runs").state


def fresh(plan: Plan) -> State:
    state = State()
    state.add_nodes(plan)
    return state


def step(state: State) -> None:
    """One step of training, with randomness."""
    module = state.nodes["Net"]
    module.train()
    optimizer = state.optimizer
    assert optimizer is not None
    loss = module(torch.ones(4, 10)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("use", ["adam", "sgd", "rmsprop"])
def test_training_goes_on_with_the_same_bits(tmp_path: Path, use: str) -> None:
    optimizer = {"use": use, "lr": 0.01} | ({"momentum": 0.9} if use == "sgd" else {})
    plan, state = trained(tmp_path, optimizer=optimizer)
    write_state(state, tmp_path / "state")
    read = fresh(plan)
    assert not specs.same_weights(read.nodes["Net"], state.nodes["Net"])
    torch.rand(1)
    read_state(read, tmp_path / "state")
    assert (read.steps, read.fitted, read.frozen) == (26, {"Forest"}, set())
    generator = torch.get_rng_state()
    for each in (state, read):
        torch.set_rng_state(generator)
        step(each)
        step(each)
    assert specs.same_weights(read.nodes["Net"], state.nodes["Net"])


def test_a_fitted_estimator_predicts_the_same(tmp_path: Path) -> None:
    plan, state = trained(tmp_path)
    write_state(state, tmp_path / "state")
    read = fresh(plan)
    read_state(read, tmp_path / "state")
    rows = specs.regression()["x"]
    np.testing.assert_array_equal(
        read.nodes["Forest"].predict(rows), state.nodes["Forest"].predict(rows)
    )


def test_groups_of_parameters_come_back_in_their_order(tmp_path: Path) -> None:
    state = State()
    first = specs.compiled(specs.train()).plan
    state.add_nodes(first)
    phase = first.phases[0]
    assert isinstance(phase, Train)
    state.optimizers_for(phase)[0]
    both = {"A": specs.node(specs.MLP), "Net": specs.node(specs.MLP)}
    later = specs.compiled(specs.train(), nodes=both).plan
    state.add_nodes(later)
    live = state.optimizers_for(phase)[0]
    for group, lr in zip(live.param_groups, (0.5, 0.25), strict=True):
        group["lr"] = lr
    write_state(state, tmp_path / "state")
    read = fresh(later)
    read_state(read, tmp_path / "state")
    assert read.optimizer is not None
    assert [group["lr"] for group in read.optimizer.param_groups] == [0.5, 0.25]
    assert [id(p) for p in read.optimizer.param_groups[0]["params"]] == [
        id(p) for p in read.nodes["Net"].parameters()
    ]


def test_nothing_of_it_is_pickle(tmp_path: Path) -> None:
    _, state = trained(tmp_path)
    write_state(state, tmp_path / "state")
    files = sorted(p.name for p in (tmp_path / "state").rglob("*") if p.is_file())
    assert files == ["Forest.skops", "optimizer.safetensors", "state.json", "weights.safetensors"]
    for path in (tmp_path / "state").rglob("*.*"):
        content = path.read_bytes()
        assert not content.startswith(b"\x80")
        assert b".pkl" not in content


@pytest.mark.parametrize(
    "name",
    ["state.json", "weights.safetensors", "optimizer.safetensors", "estimators/Forest.skops"],
)
@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, change: str) -> None:
    plan, state = trained(tmp_path)
    write_state(state, tmp_path / "state")
    path = tmp_path / "state" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if change == "remove":
        path.unlink()
    else:
        path.write_bytes(content if change == "flip" else content[:-1])
    read = fresh(plan)
    before = read.capture()
    with pytest.raises(StoreError, match=name):
        read_state(read, tmp_path / "state")
    assert specs.same_weights(read.nodes["Net"], fresh(plan).nodes["Net"])
    assert read.steps == before.steps


def test_another_graph_is_refused(tmp_path: Path) -> None:
    _, state = trained(tmp_path)
    write_state(state, tmp_path / "state")
    wider = {**NODES, "Net": specs.node(specs.MLP | {"hidden_dim": 16})}
    other = fresh(specs.compiled(specs.fit(active=["Forest"]), nodes=wider).plan)
    with pytest.raises(RunError, match=r"node `Net`: `.*` is of shape \(32, 10\) in the state and"):
        read_state(other, tmp_path / "state")
    less = fresh(specs.compiled(specs.train(), nodes={"Net": NODES["Net"]}).plan)
    with pytest.raises(
        RunError, match="the state has a node `Forest`, which is not here; here: `Net`"
    ):
        read_state(less, tmp_path / "state")


class Foreign(BaseEstimator):  # type: ignore[misc]
    """Not part of scikit-learn."""


def test_an_estimator_of_elsewhere_is_refused_unless_it_is_trusted(tmp_path: Path) -> None:
    plan, state = trained(tmp_path)
    state.nodes["Forest"] = Foreign()
    name = f"{Foreign.__module__}.Foreign"
    with pytest.raises(RunError, match=f"node `Forest` cannot be stored: `{name}` is not part"):
        write_state(state, tmp_path / "refused")
    write_state(state, tmp_path / "state", trusted=[name])
    read = fresh(plan)
    with pytest.raises(StoreError, match=f"node `Forest` holds `{name}`, which is not part"):
        read_state(read, tmp_path / "state")
    read_state(read, tmp_path / "state", trusted=[name])
    assert isinstance(read.nodes["Forest"], Foreign)


NUMBERS = st.integers() | st.floats() | st.booleans() | st.none() | st.text()
VALUES = st.recursive(
    NUMBERS | st.sampled_from([np.arange(3, dtype=np.uint32), torch.tensor(0.1), torch.ones(2)]),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.just("$tuple"), inner)
    ),
    max_leaves=8,
)


@given(VALUES)
@settings(deadline=None)
def test_values_come_back_as_they_were(value: Any) -> None:
    tensors: dict[str, torch.Tensor] = {}
    packed = json.loads(encode(pack(value, tensors, "value")))
    assert _same(unpack(packed, tensors), value)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and bool((one == other).all())
    return repr(one) == repr(other)


def test_a_copy_stays_as_it_was_and_needs_no_pickle() -> None:
    weight = torch.ones(2, requires_grad=True)
    inner: dict[str, Any] = {"list": [1], "array": np.ones(2), "loss": weight * 2, "lock": Lock()}
    kept = copied({"inner": inner, "pair": (inner["list"],)})
    inner["list"].append(2)
    inner["array"][0] = 0
    with torch.no_grad():
        inner["loss"].zero_()
    assert kept["inner"]["list"] == [1]
    assert kept["pair"] == ([1],)
    assert kept["inner"]["array"].tolist() == [1, 1]
    assert kept["inner"]["loss"].tolist() == [2, 2]
    assert kept["inner"]["lock"] is inner["lock"]


def test_values_that_only_pickle_could_store() -> None:
    with pytest.raises(RunError, match="`callbacks.1.rate` is a function, which cannot be stored"):
        pack([1, {"rate": lambda: 1}], {}, "callbacks")
