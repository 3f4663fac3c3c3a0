from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from specplan.run.early_stopping import Stopper
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")


def hand_mlp() -> nn.Sequential:
    specs.seeded("init/Net")
    return nn.Sequential(
        nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
    )


def hand_loop(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Any = nn.functional.mse_loss,
    *,
    epochs: int = 2,
    batch_size: int = 32,
) -> list[float]:
    """The loop that everyone writes; returns the loss of each step."""
    losses = []
    for epoch in range(epochs):
        for rows in torch.split(specs.epoch_order(len(x), epoch), batch_size):
            value = loss(net(x[rows]), y[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.item())
    return losses


def split_tensors(split: str = "train") -> tuple[torch.Tensor, torch.Tensor]:
    columns = specs.regression()
    rows = specs.rows_of(500, split)
    x = torch.tensor(columns["x"][rows], dtype=torch.float32)
    return x, torch.tensor(columns["y"][rows], dtype=torch.float32)[:, None]


def test_mlp_with_adam_has_the_bits_of_a_hand_written_loop(tmp_path: Path) -> None:
    outcome = specs.run(specs.compiled(specs.train(), specs.evaluation()), tmp_path)
    net = hand_mlp()
    losses = hand_loop(net, torch.optim.Adam(net.parameters(), lr=1e-3), *split_tensors())
    assert specs.same_weights(net, outcome.state.nodes["Net"])
    assert specs.values(outcome, "train", "mse", whole=False) == losses
    assert specs.values(outcome, "train", "train_loss", whole=False) == losses
    assert specs.values(outcome, "train", "train_loss") == pytest.approx(
        [np.mean(losses[:13]), np.mean(losses[13:])], rel=1e-15
    )
    x, y = split_tensors("test")
    with torch.no_grad():
        outputs = net(x)
    assert specs.values(outcome, "eval", "eval_loss") == [nn.functional.mse_loss(outputs, y).item()]
    np.testing.assert_array_equal(specs.recorded(outcome, "eval", "outputs")[0], outputs)


def test_sgd_with_momentum_over_two_phases_keeps_its_momentum(tmp_path: Path) -> None:
    optimizer = {"use": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}
    phases = (specs.train(), specs.train(label="again"))
    outcome = specs.run(specs.compiled(*phases, optimizer=optimizer), tmp_path)
    net = hand_mlp()
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    hand_loop(net, sgd, *split_tensors())
    hand_loop(net, sgd, *split_tensors())
    assert specs.same_weights(net, outcome.state.nodes["Net"])
    assert outcome.state.steps == 52


def test_cnn_with_dropout_and_cross_entropy_has_the_bits_of_a_hand_written_loop(
    tmp_path: Path,
) -> None:
    model = {"use": "cnn", "output_shape": [10], "hidden_dim": 8, "pooling": 2, "dropout": 0.25}
    plan = specs.compiled(
        specs.train(losses=["entropy"]),
        columns=specs.images(),
        nodes={"Net": specs.node(model)},
        losses={"entropy": {"use": "cross_entropy", "node": "Net"}},
    )
    outcome = specs.run(plan, tmp_path)
    specs.seeded("init/Net")
    layers: list[nn.Module] = []
    for channels in (1, 8):
        layers += [
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
        ]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 2 * 2, 10))
    columns, rows = specs.images(), specs.rows_of(200, "train")
    x, y = torch.from_numpy(columns["x"][rows]), torch.from_numpy(columns["y"][rows])
    specs.seeded("phase/train/global")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = hand_loop(net, optimizer, x, y, nn.functional.cross_entropy)
    assert specs.same_weights(net, outcome.state.nodes["Net"])
    assert specs.values(outcome, "train", "entropy", whole=False) == losses


def test_batches_that_are_not_aligned_have_the_bits_of_a_hand_written_loop(tmp_path: Path) -> None:
    sampler = {"use": "simple", "batch_size": 7, "shuffle": True, "seed": 7}
    outcome = specs.run(specs.compiled(specs.train(sampler=sampler)), tmp_path)
    net = hand_mlp()
    hand_loop(net, torch.optim.Adam(net.parameters(), lr=1e-3), *split_tensors(), batch_size=7)
    assert specs.same_weights(net, outcome.state.nodes["Net"])


def test_weighted_losses_add_up(tmp_path: Path) -> None:
    losses = {
        "mse": {"use": "mse", "node": "Net"},
        "l1": {"use": "l1", "node": "Net", "weight": 0.5},
    }
    plan = specs.compiled(specs.train(losses=["mse", "l1"]), losses=losses)
    outcome = specs.run(plan, tmp_path)

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(outputs, targets) + 0.5 * nn.functional.l1_loss(
            outputs, targets
        )

    net = hand_mlp()
    totals = hand_loop(net, torch.optim.Adam(net.parameters(), lr=1e-3), *split_tensors(), loss)
    assert specs.same_weights(net, outcome.state.nodes["Net"])
    assert specs.values(outcome, "train", "train_loss", whole=False) == totals


def test_gradients_pass_through_a_frozen_node(tmp_path: Path) -> None:
    nodes = {
        "Encoder": {"model": {"use": "mlp", "output_shape": [4], "n_layers": 0}, "input": "Set.x"},
        "Head": specs.node({"use": "mlp", "n_layers": 0}, "Encoder"),
    }
    losses = {"mse": {"use": "mse", "node": "Head"}}
    fresh = specs.run(
        specs.compiled(specs.evaluation(), nodes=nodes, losses=losses), tmp_path
    ).state.capture()
    phase = specs.train(active=["Encoder"])
    state = specs.run(specs.compiled(phase, nodes=nodes, losses=losses), tmp_path).state
    trained = state.capture()
    assert torch.equal(fresh.modules["Head"]["0.weight"], trained.modules["Head"]["0.weight"])
    assert not torch.equal(
        fresh.modules["Encoder"]["0.weight"], trained.modules["Encoder"]["0.weight"]
    )
    assert all(p.requires_grad for p in state.nodes["Head"].parameters())


@pytest.mark.parametrize(("mode", "batches"), [("all", 26), ("last", 13), ("none", 0)])
def test_record_decides_which_batches_are_recorded(tmp_path: Path, mode: str, batches: int) -> None:
    outcome = specs.run(specs.compiled(specs.train(record=mode)), tmp_path)
    ids = specs.recorded(outcome, "train", "sample_id")
    assert len(specs.recorded(outcome, "train", "outputs")) == len(ids) == batches
    if batches:
        positions = specs.epoch_order(400, 1).numpy()
        rows = specs.rows_of(500, "train")[positions]
        np.testing.assert_array_equal(np.concatenate(ids[-13:]), rows)
    assert outcome.run_file.kept_epochs == {"train": 1}


def test_recording_does_not_change_the_weights(tmp_path: Path) -> None:
    nets = [
        specs.run(specs.compiled(specs.train(record=mode)), tmp_path).state.nodes["Net"]
        for mode in ("all", "none")
    ]
    assert specs.same_weights(*nets)


def test_a_plan_gives_the_same_bits_twice(tmp_path: Path) -> None:
    plan = specs.compiled(specs.train(), specs.evaluation())
    one, two = specs.run(plan, tmp_path), specs.run(plan, tmp_path)
    assert specs.same_weights(one.state.nodes["Net"], two.state.nodes["Net"])
    series = [[(row["name"], row["value"]) for row in specs.metrics(each)] for each in (one, two)]
    assert series[0] == series[1]
    for field in ("outputs", "targets", "sample_id"):
        pairs = zip(
            specs.recorded(one, "train", field), specs.recorded(two, "train", field), strict=True
        )
        assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_run_leaves_global_generators_and_settings_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(1)
    np.random.seed(1)
    torch.set_num_threads(2)
    specs.run(specs.compiled(specs.train()), tmp_path)
    assert (torch.rand(1), np.random.rand()) == expected
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()


def test_steps_count_on_over_epochs_and_phases(tmp_path: Path) -> None:
    outcome = specs.run(specs.compiled(specs.train(), specs.evaluation()), tmp_path)
    rows = specs.metrics(outcome)
    batches = [row for row in rows if row["name"] == "mse" and row["phase"] == "train"]
    assert [row["step"] for row in batches if row["batch"] >= 0] == list(range(26))
    assert [row["step"] for row in batches if row["batch"] == -1] == [13, 26]
    assert {row["step"] for row in rows if row["phase"] == "eval"} == {26}


def test_evaluation_between_epochs(tmp_path: Path) -> None:
    callback = {"use": "evaluation", "split": "test", "metrics": ["r2"], "as": "val"}
    plan = specs.compiled(
        specs.train(callbacks=[callback]),
        specs.evaluation(metrics=["r2"]),
        metrics={"r2": {"use": "r2", "node": "Net"}},
    )
    outcome = specs.run(plan, tmp_path)
    rows = [row for row in specs.metrics(outcome) if row["name"].startswith("val_")]
    assert [(row["name"], row["node"], row["epoch"], row["step"]) for row in rows] == [
        (name, node, epoch, step)
        for epoch, step in ((0, 13), (1, 26))
        for name, node in (("val_mse", "Net"), ("val_loss", None), ("val_r2", "Net"))
    ]
    assert {row["split"] for row in rows} == {"test"}
    for name in ("mse", "r2"):
        assert specs.values(outcome, "train", f"val_{name}")[-1:] == specs.values(
            outcome, "eval", name
        )


def test_early_stopping_puts_the_best_weights_back(tmp_path: Path) -> None:
    callbacks = [
        {"use": "evaluation", "split": "test", "as": "val"},
        {"use": "early_stopping", "monitor": "val_loss", "patience": 2, "restore_best": True},
    ]
    phase = specs.train(epochs=60, callbacks=callbacks, record="last")
    optimizer = {"use": "adam", "lr": 0.03}
    outcome = specs.run(specs.compiled(phase, specs.evaluation(), optimizer=optimizer), tmp_path)
    losses = specs.values(outcome, "train", "val_loss")
    best = int(np.argmin(losses))
    assert best + 2 == len(losses) - 1 < 59
    assert outcome.run_file.kept_epochs == {"train": best}
    assert specs.values(outcome, "eval", "eval_loss") == [losses[best]]
    assert len(specs.recorded(outcome, "train", "outputs")) == 13 * len(losses)
    table = pl.scan_parquet(outcome.folder.execution_table("train"))
    assert table.select("epoch").unique().collect().to_series().to_list() == [best]
    assert table.select(pl.len()).collect().item() == 400
    assert outcome.state.steps == 13 * len(losses)


def test_losses_that_are_not_numbers_are_recorded_and_training_goes_on(tmp_path: Path) -> None:
    far = {"use": "sgd", "lr": 1e30}
    outcome = specs.run(specs.compiled(specs.train(), optimizer=far), tmp_path)
    losses = specs.values(outcome, "train", "mse", whole=False)
    assert len(losses) == 26
    assert not np.isfinite(losses[-1])
    assert outcome.run_file.status == "completed"


def test_a_state_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    first = specs.run(specs.compiled(specs.train()), tmp_path)
    second = specs.run(specs.compiled(specs.train(label="again")), tmp_path, first.state)
    at_once = specs.run(specs.compiled(specs.train(), specs.train(label="again")), tmp_path)
    assert specs.same_weights(second.state.nodes["Net"], at_once.state.nodes["Net"])
    assert second.run_file.version == 2


def test_without_a_rule_the_last_epoch_is_kept() -> None:
    stopper = Stopper(None, state=None)  # type: ignore[arg-type]
    assert not stopper.saw(0, {})
    assert not stopper.saw(1, {})
    assert stopper.kept_epoch == 1
