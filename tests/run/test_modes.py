"""Nodes with optimizers of their own, and estimators that learn batch by batch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from specplan.errors import SpecError
from specplan.run.state import State
from specplan.run.state_file import read_state, write_state
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")

SGD = {"use": "sgd", "lr": 0.05}
ENC = {"use": "mlp", "n_layers": 1, "hidden_dim": 8, "output_shape": [4]}
PARTIAL = "sklearn.linear_model:SGDRegressor"


def two_nodes(**own: Any) -> dict[str, Any]:
    enc = {**specs.node(ENC), "target": "Set.y", "optimizer": specs.ADAM}
    return {"Enc": enc, "Net": {**specs.node(specs.MLP, "Enc"), "optimizer": SGD, **own}}


def stages(**changes: Any) -> Any:
    losses = {
        "mse": {"use": "mse", "node": "Net"},
        "spread": {"use": "live:spread", "node": "Enc", "args": ["outputs"]},
    }
    return specs.compiled(
        specs.train(losses=["mse", "spread"]),
        nodes=two_nodes(),
        losses=losses,
        optimizer=None,
        live={"spread": lambda outputs: (outputs**2).mean()},
        **changes,
    )


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    columns = specs.regression()
    at = specs.rows_of(500, "train")
    x = torch.tensor(columns["x"][at], dtype=torch.float32)
    return x, torch.tensor(columns["y"][at], dtype=torch.float32)[:, None]


def test_each_node_is_trained_by_its_own_optimizer(tmp_path: Path) -> None:
    outcome = specs.run(stages(), tmp_path)
    specs.seeded("init/Enc")
    enc = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 4))
    specs.seeded("init/Net")
    net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    first = torch.optim.Adam(enc.parameters(), lr=1e-3)
    second = torch.optim.SGD(net.parameters(), lr=0.05)
    x, y = rows()
    for epoch in range(2):
        for batch in torch.split(specs.epoch_order(len(x), epoch), 32):
            made = enc(x[batch])
            first.zero_grad()
            (made**2).mean().backward(retain_graph=True)
            second.zero_grad()
            nn.functional.mse_loss(net(made.detach()), y[batch]).backward()
            first.step()
            second.step()
    assert specs.same_weights(enc, outcome.state.nodes["Enc"])
    assert specs.same_weights(net, outcome.state.nodes["Net"])


def test_own_optimizers_are_part_of_a_state(tmp_path: Path) -> None:
    plan = stages()
    outcome = specs.run(plan, tmp_path)
    write_state(outcome.state, tmp_path / "state")
    read = State()
    read.builder = outcome.state.builder
    read.add_nodes(plan.plan)
    read_state(read, tmp_path / "state")
    for label in ("Enc", "Net"):
        before, after = outcome.state.own_optimizers[label][0], read.own_optimizers[label][0]
        assert before.state_dict()["param_groups"] == after.state_dict()["param_groups"]
    kept = outcome.state.own_optimizers["Enc"][0].state_dict()["state"]
    assert kept.keys() == read.own_optimizers["Enc"][0].state_dict()["state"].keys()
    snapshot = outcome.state.capture()
    weights = copy.deepcopy(outcome.state.modules()["Net"].state_dict())
    specs.run(plan, tmp_path, outcome.state)
    outcome.state.restore(snapshot)
    restored = outcome.state.modules()["Net"].state_dict()
    assert all(torch.equal(weights[name], value) for name, value in restored.items())


def test_a_graph_has_one_kind_of_optimizers() -> None:
    with pytest.raises(SpecError, match="SP621"):
        specs.compiled(specs.train(), nodes=two_nodes())
    nodes = two_nodes()
    del nodes["Net"]["optimizer"]
    with pytest.raises(SpecError, match="neither the graph nor the node has an optimizer"):
        specs.compiled(specs.train(), nodes=nodes, optimizer=None)


def test_frozen_nodes_stay_as_they_are_unless_a_phase_names_them(tmp_path: Path) -> None:
    nodes = {"Enc": {**specs.node(ENC), "frozen": True}, "Net": specs.node(specs.MLP, "Enc")}
    outcome = specs.run(specs.compiled(specs.train(), nodes=nodes), tmp_path)
    fresh = State()
    fresh.add_nodes(specs.compiled(specs.train(), nodes=nodes).plan)
    assert specs.same_weights(fresh.nodes["Enc"], outcome.state.nodes["Enc"])
    assert not specs.same_weights(fresh.nodes["Net"], outcome.state.nodes["Net"])
    named = specs.compiled(specs.train(active=["Enc", "Net"]), nodes=nodes)
    assert set(named.plan.phases[0].trainable) == {"Enc", "Net"}  # type: ignore[union-attr]
    nodes["Net"]["frozen"] = True
    with pytest.raises(SpecError, match="`Enc`, `Net` are frozen: there is nothing to train"):
        specs.compiled(specs.train(), nodes=nodes)


def test_an_estimator_learns_batch_by_batch(tmp_path: Path) -> None:
    nodes = {"Net": specs.node({"use": PARTIAL, "random_state": 3})}
    plan = specs.compiled(specs.train(), specs.evaluation(), nodes=nodes, optimizer=None)
    outcome = specs.run(plan, tmp_path)
    by_hand = SGDRegressor(random_state=3)
    columns, at = specs.regression(), specs.rows_of(500, "train")
    x, y = columns["x"][at], columns["y"][at]
    for epoch in range(2):
        for batch in torch.split(specs.epoch_order(len(x), epoch), 32):
            by_hand.partial_fit(x[batch], y[batch])
    np.testing.assert_array_equal(outcome.state.nodes["Net"].coef_, by_hand.coef_)
    [loss] = specs.values(outcome, "eval", "mse")
    test = specs.rows_of(500, "test")
    error = np.mean((by_hand.predict(columns["x"][test]) - columns["y"][test]) ** 2)
    assert loss == pytest.approx(error, rel=1e-6)


def test_a_snapshot_keeps_an_estimator_as_it_was(tmp_path: Path) -> None:
    nodes = {"Net": specs.node({"use": PARTIAL})}
    plan = specs.compiled(specs.train(), nodes=nodes, optimizer=None)
    state = specs.run(plan, tmp_path).state
    snapshot = state.capture()
    before = state.nodes["Net"].coef_.copy()
    specs.run(plan, tmp_path, state)
    assert not np.array_equal(state.nodes["Net"].coef_, before)
    for _ in range(2):
        state.restore(snapshot)
        np.testing.assert_array_equal(state.nodes["Net"].coef_, before)
        specs.run(plan, tmp_path, state)


def test_the_classes_are_those_of_all_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"x": rng.standard_normal((200, 5)), "y": rng.integers(0, 3, 200)}
    columns["y"][:5] = 3
    nodes = {"Net": specs.node({"use": "sklearn.linear_model:SGDClassifier", "random_state": 1})}
    accuracy = {"right": {"use": "accuracy", "node": "Net"}}
    plan = specs.compiled(
        specs.train(losses=["none"], active=["Net"]),
        columns=columns,
        nodes=nodes,
        optimizer=None,
        losses={"none": {"use": "live:none", "node": "Net", "args": ["outputs"]}},
        metrics=accuracy,
        live={"none": lambda outputs: outputs.double().mean()},
    )
    assert list(specs.run(plan, tmp_path).state.nodes["Net"].classes_) == [0, 1, 2, 3]


def test_torch_and_estimators_do_not_share_an_optimizer() -> None:
    nodes = {"Enc": specs.node(ENC), "Net": specs.node({"use": PARTIAL}, "Enc")}
    losses = {"mse": {"use": "mse", "node": "Net"}, "own": {"use": "mse", "node": "Tail"}}
    nodes["Tail"] = specs.node(specs.MLP, "Enc")
    phase = specs.train(losses=["mse", "own"], active=["Enc", "Net", "Tail"])
    with pytest.raises(SpecError, match="SP622"):
        specs.compiled(phase, nodes=nodes, losses=losses)


def test_an_estimator_without_partial_fit_needs_a_fit_phase() -> None:
    nodes = {"Net": specs.node({"use": "sklearn.linear_model:Ridge"})}
    with pytest.raises(SpecError, match="SP606"):
        specs.compiled(specs.train(active=["Net"]), nodes=nodes, optimizer=None)
    nodes = {"Net": {**specs.node({"use": PARTIAL}), "training_mode": "batch_fit"}}
    with pytest.raises(SpecError, match="SP606"):
        specs.compiled(specs.train(active=["Net"]), nodes=nodes, optimizer=None)


@pytest.mark.parametrize("scaled", [True, False])
def test_fitting_is_fitting_in_every_order(tmp_path: Path, *, scaled: bool) -> None:
    """scikit-learn before torch before scikit-learn."""
    nodes = {
        "Scale": {"model": {"use": "sklearn.preprocessing:StandardScaler"}, "input": "Set.x"},
        "Net": specs.node(specs.MLP, "Scale" if scaled else "Set.x"),
        "Both": {"merge": {"use": "concat"}, "input": ["Net", "Scale"]},
        "Last": specs.node({"use": "sklearn.linear_model:Ridge"}, "Both"),
    }
    losses = {"mse": {"use": "mse", "node": "Net"}, "last": {"use": "mse", "node": "Last"}}
    plan = specs.compiled(
        specs.fit(label="scale", active=["Scale"]),
        specs.train(),
        specs.fit(label="fit", active=["Last"]),
        specs.evaluation(losses=["last"]),
        nodes=nodes,
        losses=losses,
    )
    outcome = specs.run(plan, tmp_path)
    columns = specs.regression()
    train, test = specs.rows_of(500, "train"), specs.rows_of(500, "test")
    scale = StandardScaler().fit(columns["x"][train])
    net = outcome.state.modules()["Net"]

    def both(at: Any) -> Any:
        scaled_rows = scale.transform(columns["x"][at]).astype(np.float32)
        read = scaled_rows if scaled else columns["x"][at].astype(np.float32)
        with torch.no_grad():
            made = net(torch.from_numpy(read)).numpy()
        return np.concatenate([made, scaled_rows], axis=1)

    ridge = Ridge().fit(both(train), columns["y"][train])
    found = specs.recorded(outcome, "eval", "outputs")[0].reshape(-1)
    np.testing.assert_allclose(found, ridge.predict(both(test)), rtol=1e-6, atol=1e-6)


def test_an_estimator_that_no_spec_can_write_is_an_object(tmp_path: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), PCA(3), Ridge())
    reduce = make_pipeline(StandardScaler(), PCA(3))
    nodes = {
        "Reduce": {"model": {"use": "live:reduce"}, "input": "Set.x"},
        "Net": specs.node({"use": "live:pipeline"}),
    }
    plan = specs.compiled(
        specs.fit(),
        specs.evaluation(),
        nodes=nodes,
        live={"pipeline": pipeline, "reduce": reduce},
    )
    assert plan.plan.graph.nodes["Reduce"].shape == (3,)
    outcome = specs.run(plan, tmp_path)
    columns, train = specs.regression(), specs.rows_of(500, "train")
    direct = clone(pipeline).fit(columns["x"][train], columns["y"][train])
    found = specs.recorded(outcome, "eval", "outputs")[0].reshape(-1)
    expected = direct.predict(columns["x"][specs.rows_of(500, "test")])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not hasattr(pipeline[-1], "coef_"), "the program's own estimator is left alone"


def test_probabilities_are_what_a_node_gives(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 5))
    columns = {"x": x, "y": (x[:, 0] > 0).astype(int)}
    model = {"use": "sklearn.linear_model:LogisticRegression"}
    node = {**specs.node(model), "output_method": "predict_proba", "output_shape": [2]}
    plan = specs.compiled(
        specs.fit(),
        specs.evaluation(losses=[], active=["Net"]),
        columns=columns,
        nodes={"Net": node},
        losses={},
    )
    found = specs.recorded(specs.run(plan, tmp_path), "eval", "outputs")[0]
    train, test = specs.rows_of(200, "train"), specs.rows_of(200, "test")
    direct = LogisticRegression().fit(x[train], columns["y"][train])
    np.testing.assert_allclose(found, direct.predict_proba(x[test]), rtol=1e-6)
    del node["output_shape"]
    with pytest.raises(SpecError, match="gives a probability for each class"):
        specs.compiled(specs.fit(), columns=columns, nodes={"Net": node}, losses={})


@pytest.mark.parametrize(
    ("use", "optimizer"),
    [
        ("torch.nn:KLDivLoss", "torch.optim:Adagrad"),
        ("torch.nn:SoftMarginLoss", "torch.optim:NAdam"),
    ],
)
def test_every_loss_and_optimizer_of_torch_has_the_bits_of_torch(
    use: str, optimizer: str, tmp_path: Path
) -> None:
    plan = specs.compiled(
        specs.train(epochs=1),
        losses={"mse": {"use": use, "node": "Net", "reduction": "sum"}},
        optimizer={"use": optimizer, "lr": 0.001},
    )
    outcome = specs.run(plan, tmp_path)
    specs.seeded("init/Net")
    net = nn.Sequential(
        nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
    )
    changing = getattr(torch.optim, optimizer.partition(":")[2])(net.parameters(), lr=0.001)
    loss = getattr(nn, use.partition(":")[2])(reduction="sum")
    x, y = rows()
    for batch in torch.split(specs.epoch_order(len(x), 0), 32):
        changing.zero_grad()
        loss(net(x[batch]), y[batch]).backward()
        changing.step()
    assert specs.same_weights(net, outcome.state.nodes["Net"])


def test_a_loss_reads_a_column(tmp_path: Path) -> None:
    columns = specs.regression() | {"w": np.linspace(0, 2, 500)}
    weighted = {"use": "live:weighted", "node": "Net", "args": ["outputs", "targets", "Set.w"]}
    plan = specs.compiled(
        specs.train(),
        columns=columns,
        tags=["w"],
        losses={"mse": weighted},
        live={"weighted": lambda outputs, targets, w: (outputs - targets) ** 2 * w},
    )
    losses = specs.values(specs.run(plan, tmp_path), "train", "mse", whole=False)
    specs.seeded("init/Net")
    net = nn.Sequential(
        nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
    )
    x, y = rows()
    w = torch.tensor(columns["w"][specs.rows_of(500, "train")], dtype=torch.float32)
    batch = specs.epoch_order(len(x), 0)[:32]
    first = ((net(x[batch]) - y[batch]) ** 2 * w[batch, None]).mean().item()
    assert losses[0] == first
