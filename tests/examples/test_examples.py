"""Each example, run by the command, gives the numbers of the same model written by hand."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score
from sklearn.preprocessing import StandardScaler
from torch import nn

from specplan.plan.streams import seed_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

EXAMPLES = Path(__file__).parents[2] / "examples"
SPECS = {"diabetes": "spec.yaml", "digits": "spec.json", "stacking": "spec.yaml"}
MLX = Path(sys.executable).parent / "mlx"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # each command imports torch
    pytest.mark.usefixtures("one_thread"),  # as many as the examples ask for
]
SEED = 42
SPLIT_SEED = 13
MEASUREMENTS = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the specs, with data."""
    folder = tmp_path_factory.mktemp("examples")
    subprocess.run([sys.executable, EXAMPLES / "make_data.py", folder], check=True)
    for name, spec in SPECS.items():
        shutil.copy(EXAMPLES / name / spec, folder / name)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Callable[[str], Path]:
    """Compile and run an example once, and give its run folder."""
    runs: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in runs:
            spec = folder / name / SPECS[name]
            root = folder / "runs"
            subprocess.run([MLX, "compile", spec], check=True, capture_output=True)
            subprocess.run([MLX, "run", spec, "--root", root], check=True, capture_output=True)
            [runs[name]] = (root / name).iterdir()
        return runs[name]

    return run


def stated(name: str) -> str:
    """What the page of an example says that it reaches."""
    return (EXAMPLES / name / "README.md").read_text(encoding="utf-8")


def split(rows: int, **ratios: float) -> dict[str, NDArray[np.intp]]:
    """Sizes by largest remainder; the shuffled rows are cut in the order of the ratios."""
    order = np.arange(rows)
    np.random.default_rng(SPLIT_SEED).shuffle(order)
    names = list(ratios)
    sizes = {name: int(rows * ratios[name]) for name in names}
    by_remainder = sorted(names, key=lambda name: sizes[name] - rows * ratios[name])
    for name in by_remainder[: rows - sum(sizes.values())]:
        sizes[name] += 1
    parts = np.split(order, np.cumsum(list(sizes.values()))[:-1])
    return dict(zip(names, parts, strict=True))


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Any, Any], torch.Tensor],
    inputs: torch.Tensor,
    targets: torch.Tensor,
    rows: NDArray[np.intp],
    *,
    epoch: int,
    batch_size: int,
) -> list[float]:
    model.train()
    shuffled = rows[np.random.default_rng([SEED, epoch]).permutation(len(rows))]
    losses = []
    for batch in np.split(shuffled, range(batch_size, len(shuffled), batch_size)):
        value = loss(model(inputs[batch]), targets[batch])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    model.eval()
    return losses


def series(run_folder: Path, phase: str, name: str, *, of_batches: bool = False) -> list[float]:
    """The values of one metric in the order of epochs and batches, read with plain polars."""
    metrics = pl.scan_parquet(run_folder / "tables/metrics.parquet")
    wanted = metrics.filter(
        pl.col("phase") == phase,
        pl.col("name") == name,
        pl.col("batch").is_not_null() if of_batches else pl.col("batch").is_null(),
    )
    values: list[float] = wanted.sort("epoch", "batch").collect()["value"].to_list()
    return values


def test_diabetes(folder: Path, run: Callable[[str], Path]) -> None:
    table = pd.read_parquet(folder / "diabetes/data/diabetes.parquet")
    inputs = torch.tensor(table[MEASUREMENTS].to_numpy(), dtype=torch.float32)
    targets = torch.tensor(table[["progression"]].to_numpy(), dtype=torch.float32)
    rows = split(len(table), train=0.7, val=0.15, test=0.15)
    train, val, test = rows["train"], rows["val"], rows["test"]
    torch.manual_seed(seed_of(SEED, "init/MLP"))
    model = nn.Sequential(
        nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    loss = nn.functional.mse_loss
    batch_losses: list[float] = []
    val_losses: list[float] = []
    for epoch in range(60):
        batch_losses += train_epoch(
            model, optimizer, loss, inputs, targets, train, epoch=epoch, batch_size=32
        )
        with torch.no_grad():
            val_losses.append(loss(model(inputs[val]), targets[val]).item())
    with torch.no_grad():
        outputs = model(inputs[test]).numpy()

    run_folder = run("diabetes")
    assert series(run_folder, "train", "mse", of_batches=True) == batch_losses
    assert series(run_folder, "train", "val_loss") == val_losses
    recorded = pl.read_parquet(run_folder / "tables/execution-test.parquet")
    assert recorded["sample_id"].to_list() == test.tolist()
    np.testing.assert_array_equal(recorded["MLP.outputs"].to_numpy(), outputs)
    measured = table["progression"].to_numpy()[test]
    [r2] = series(run_folder, "test", "r2")
    [rmse] = series(run_folder, "test", "rmse")
    assert r2 == pytest.approx(r2_score(measured, outputs[:, 0]), rel=1e-6)
    assert rmse == pytest.approx(mean_squared_error(measured, outputs[:, 0]) ** 0.5, rel=1e-6)
    assert r2 > 0.45
    assert f"an R2 of {r2:.3f} (RMSE {rmse:.1f})" in stated("diabetes")


def test_digits(folder: Path, run: Callable[[str], Path]) -> None:
    table = pl.read_parquet(folder / "digits/data/digits.parquet")
    inputs = torch.tensor(table["image"].to_numpy().reshape(-1, 1, 8, 8))
    targets = torch.tensor(table["digit"].to_numpy().astype(np.int64))
    rows = split(len(table), train=0.7, val=0.15, test=0.15)
    train, val, test = rows["train"], rows["val"], rows["test"]
    torch.manual_seed(seed_of(SEED, "init/CNN"))
    model = nn.Sequential(
        *[nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Linear(32 * 2 * 2, 10)],
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    loss = nn.functional.cross_entropy
    val_losses: list[float] = []
    best = {}
    for epoch in range(60):
        train_epoch(model, optimizer, loss, inputs, targets, train, epoch=epoch, batch_size=64)
        with torch.no_grad():
            val_losses.append(loss(model(inputs[val]), targets[val]).item())
        best_epoch = int(np.argmin(val_losses))
        if best_epoch == epoch:
            best = {name: value.clone() for name, value in model.state_dict().items()}
        elif epoch - best_epoch == 5:
            break
    model.load_state_dict(best)
    with torch.no_grad():
        outputs = model(inputs[test])

    run_folder = run("digits")
    assert series(run_folder, "train", "val_loss") == val_losses
    recorded = duckdb.connect().execute(
        'select "CNN.outputs", "CNN.targets" from read_parquet(?)',
        [str(run_folder / "tables/execution-test.parquet")],
    )
    rows_recorded = recorded.fetchall()
    assert [list(row) for row, _ in rows_recorded] == outputs.tolist()
    assert [digit for _, digit in rows_recorded] == targets[test].tolist()
    [accuracy] = series(run_folder, "test", "accuracy")
    assert accuracy == accuracy_score(targets[test], outputs.argmax(dim=1))
    assert accuracy > 0.97
    assert f"{accuracy:.1%}".replace("%", " %") in stated("digits")


def test_stacking(folder: Path, run: Callable[[str], Path]) -> None:
    table = pd.read_parquet(folder / "stacking/data/diabetes.parquet")
    measurements = table[MEASUREMENTS].to_numpy(dtype=np.float64)
    progression = table["progression"].to_numpy()
    rows = split(len(table), train=0.8, test=0.2)
    train, test = rows["train"], rows["test"]
    scaler = StandardScaler().fit(measurements[train])
    forest = RandomForestRegressor(
        min_samples_leaf=10, random_state=seed_of(SEED, "init/Forest") % 2**32
    ).fit(measurements[train], progression[train])
    guess = forest.predict(measurements)
    joined = np.column_stack([scaler.transform(measurements), guess])
    inputs = torch.tensor(joined, dtype=torch.float32)
    targets = torch.tensor(progression, dtype=torch.float32)[:, None]
    torch.manual_seed(seed_of(SEED, "init/Net"))
    model = nn.Sequential(nn.Linear(11, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss = nn.functional.mse_loss
    batch_losses: list[float] = []
    for epoch in range(60):
        batch_losses += train_epoch(
            model, optimizer, loss, inputs, targets, train, epoch=epoch, batch_size=32
        )
    with torch.no_grad():
        outputs = model(inputs[test]).numpy()

    run_folder = run("stacking")
    assert series(run_folder, "train", "mse", of_batches=True) == batch_losses
    recorded = pl.read_parquet(run_folder / "tables/execution-test.parquet")
    np.testing.assert_array_equal(recorded["Net.outputs"].to_numpy(), outputs)
    np.testing.assert_array_equal(recorded["Forest.outputs"].to_numpy().ravel(), guess[test])
    [forest_r2] = series(run_folder, "test", "forest_r2")
    [net_r2] = series(run_folder, "test", "net_r2")
    assert forest_r2 == pytest.approx(r2_score(progression[test], guess[test]))
    assert net_r2 == pytest.approx(r2_score(progression[test], outputs[:, 0]), rel=1e-6)
    assert net_r2 > forest_r2 > 0.45
    assert f"an R2 of {forest_r2:.3f}, the network {net_r2:.3f}" in stated("stacking")


def test_the_compiled_plan_is_complete_and_runs_alone(
    folder: Path, run: Callable[[str], Path], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    spec = folder / "diabetes/spec.yaml"
    subprocess.run([MLX, "compile", spec, "-o", plan], check=True, capture_output=True)
    subprocess.run([MLX, "run", plan, "--root", tmp_path], check=True, capture_output=True)
    [again] = (tmp_path / "diabetes").iterdir()
    first = run("diabetes")
    assert series(again, "test", "mse") == series(first, "test", "mse")
    assert json.loads(plan.read_text())["id"] == json.loads((first / "plan.json").read_text())["id"]


def test_own_model(folder: Path) -> None:
    for name in ("spec.yaml", "nets.py"):
        (folder / "own_model").mkdir(exist_ok=True)
        shutil.copy(EXAMPLES / "own_model" / name, folder / "own_model")
    code = runpy.run_path(str(EXAMPLES / "own_model/nets.py"))
    table = pd.read_parquet(folder / "diabetes/data/diabetes.parquet")
    inputs = torch.tensor(table[MEASUREMENTS].to_numpy(), dtype=torch.float32)
    targets = torch.tensor(table[["progression"]].to_numpy(), dtype=torch.float32)
    rows = split(len(table), train=0.7, val=0.15, test=0.15)
    torch.manual_seed(seed_of(SEED, "init/Net"))
    model = code["Gated"]((10,), (1,), hidden=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.2)
    loss = partial(code["pinball"], quantile=0.9)
    losses: list[float] = []
    for epoch in range(40):
        losses += train_epoch(
            model, optimizer, loss, inputs, targets, rows["train"], epoch=epoch, batch_size=32
        )
    with torch.no_grad():
        outputs = model(inputs[rows["test"]])
    below = (targets[rows["test"]] < outputs).double().mean().item()

    spec, root = folder / "own_model/spec.yaml", folder / "runs"
    subprocess.run([MLX, "run", spec, "--trust", "--root", root], check=True, capture_output=True)
    [run_folder] = (root / "own_model").iterdir()
    assert series(run_folder, "train", "upper", of_batches=True) == losses
    assert series(run_folder, "test", "below") == [below]
    assert f"{below:.1%} of the patients".replace("%", " %") in stated("own_model")
