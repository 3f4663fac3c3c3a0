from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.preprocessing import StandardScaler
from torch import nn

from specplan.errors import RunError
from specplan.plan.streams import written_seed_of
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

RIDGE = {"use": "sklearn.linear_model:Ridge", "alpha": 0.5}
SCALER = {"model": {"use": "sklearn.preprocessing:StandardScaler"}, "input": "Set.x"}


def test_a_regressor_is_fitted_and_asked_as_by_hand(tmp_path: Path) -> None:
    plan = specs.compiled(
        specs.fit(losses=["mse"]),
        specs.evaluation(metrics=["r2"]),
        nodes={"Net": specs.node(RIDGE)},
        metrics={"r2": {"use": "r2", "node": "Net"}},
    )
    outcome = specs.run(plan, tmp_path)
    columns = specs.regression()
    fitting, testing = specs.rows_of(500, "train"), specs.rows_of(500, "test")
    ridge = Ridge(alpha=0.5).fit(columns["x"][fitting], columns["y"][fitting])
    predicted = ridge.predict(columns["x"][testing])
    np.testing.assert_array_equal(specs.recorded(outcome, "eval", "outputs")[0], predicted)
    assert specs.values(outcome, "fit", "fit_loss") == pytest.approx(
        [mean_squared_error(columns["y"][fitting], ridge.predict(columns["x"][fitting]))]
    )
    assert specs.values(outcome, "eval", "r2") == pytest.approx(
        [r2_score(columns["y"][testing], predicted)], rel=1e-12
    )


def test_an_estimator_gets_its_own_seed(tmp_path: Path) -> None:
    forest = {"use": "sklearn.ensemble:RandomForestRegressor", "n_estimators": 5}
    plan = specs.compiled(specs.fit(), specs.evaluation(), nodes={"Net": specs.node(forest)})
    outcome = specs.run(plan, tmp_path)
    columns = specs.regression()
    fitting, testing = specs.rows_of(500, "train"), specs.rows_of(500, "test")
    by_hand = RandomForestRegressor(
        n_estimators=5, random_state=written_seed_of(42, "init/Net")
    ).fit(columns["x"][fitting], columns["y"][fitting])
    np.testing.assert_array_equal(
        specs.recorded(outcome, "eval", "outputs")[0], by_hand.predict(columns["x"][testing])
    )


def test_a_classifier_predicts_labels(tmp_path: Path) -> None:
    plan = specs.compiled(
        specs.fit(metrics=["accuracy"]),
        columns=specs.images(),
        nodes={"Net": specs.node({"use": "sklearn.linear_model:LogisticRegression"})},
        losses={},
        metrics={"accuracy": {"use": "accuracy", "node": "Net"}},
    )
    outcome = specs.run(plan, tmp_path)
    columns, rows = specs.images(), specs.rows_of(200, "train")
    x = columns["x"][rows].reshape(160, -1)
    by_hand = LogisticRegression(random_state=written_seed_of(42, "init/Net"))
    by_hand.fit(x, columns["y"][rows])
    [outputs] = specs.recorded(outcome, "fit", "outputs")
    np.testing.assert_array_equal(outputs, by_hand.predict(x))
    assert specs.values(outcome, "fit", "accuracy") == [by_hand.score(x, columns["y"][rows])]


def test_a_torch_node_learns_from_a_fitted_one(tmp_path: Path) -> None:
    nodes = {
        "Scale": SCALER,
        "Project": {
            "model": {"use": "sklearn.decomposition:PCA", "n_components": 3},
            "input": "Scale",
        },
        "Net": specs.node(specs.MLP, "Project"),
    }
    plan = specs.compiled(
        specs.fit(active=["Scale", "Project"]), specs.train(), specs.evaluation(), nodes=nodes
    )
    outcome = specs.run(plan, tmp_path)
    columns, rows = specs.regression(), specs.rows_of(500, "train")
    scaled = StandardScaler().fit_transform(columns["x"][rows])
    pca = PCA(n_components=3, random_state=written_seed_of(42, "init/Project")).fit(scaled)
    x = torch.from_numpy(pca.transform(scaled)).to(torch.float32)
    y = torch.from_numpy(columns["y"][rows]).to(torch.float32)[:, None]
    specs.seeded("init/Net")
    net = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for epoch in range(2):
        for batch in torch.split(specs.epoch_order(400, epoch), 32):
            loss: Any = nn.functional.mse_loss(net(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.set_num_threads(threads)
    assert specs.same_weights(net, outcome.state.nodes["Net"])


def test_an_estimator_learns_from_a_trained_torch_node(tmp_path: Path) -> None:
    nodes = {
        "Net": specs.node({"use": "mlp", "n_layers": 1, "hidden_dim": 4}),
        "Both": {"merge": {"use": "concat", "axis": -1}, "input": ["Net", "Set.x"]},
        "Ridge": specs.node(RIDGE, "Both"),
    }
    losses = {"mse": {"use": "mse", "node": "Net"}, "ridge": {"use": "mse", "node": "Ridge"}}
    plan = specs.compiled(
        specs.train(),
        specs.fit(active=["Ridge"]),
        specs.evaluation(losses=["mse", "ridge"], batch_size=30),
        nodes=nodes,
        losses=losses,
    )
    outcome = specs.run(plan, tmp_path)
    columns = specs.regression()

    def joined(split: str) -> np.ndarray:
        x = torch.from_numpy(columns["x"][specs.rows_of(500, split)]).to(torch.float32)
        with torch.no_grad():
            return torch.cat([outcome.state.nodes["Net"](x), x], -1).numpy()

    fitting, testing = specs.rows_of(500, "train"), specs.rows_of(500, "test")
    ridge = Ridge(alpha=0.5).fit(joined("train"), columns["y"][fitting])
    error = mean_squared_error(columns["y"][testing], ridge.predict(joined("test")))
    assert specs.values(outcome, "eval", "ridge") == pytest.approx([error], rel=1e-5)
    assert len(specs.values(outcome, "eval", "ridge", whole=False)) == 4


def test_fitting_does_not_change_the_estimator_of_a_snapshot(tmp_path: Path) -> None:
    plan = specs.compiled(specs.fit(freeze_after_fit=False), nodes={"Net": specs.node(RIDGE)})
    state = specs.run(plan, tmp_path).state
    snapshot = state.capture()
    specs.run(plan, tmp_path, state)
    assert state.nodes["Net"] is not snapshot.estimators["Net"]
    state.restore(snapshot)
    assert state.nodes["Net"] is snapshot.estimators["Net"]


def test_data_that_an_estimator_refuses_fail_the_run(tmp_path: Path) -> None:
    columns = specs.regression()
    columns["x"][3] = np.nan
    plan = specs.compiled(specs.fit(), columns=columns, nodes={"Net": specs.node(RIDGE)})
    with pytest.raises(RunError, match="phase `fit`: ValueError: Input X contains NaN"):
        specs.run(plan, tmp_path)
