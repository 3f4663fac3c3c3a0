"""Passes over a group: what each begins with, what ends them, and what a skipped phase leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from specplan.plan.streams import seed_of
from specplan.results.open import open_run
from specplan.results.passes import Spread
from specplan.store.run_file import Status
from tests.run import specs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from specplan.results.open import Run
    from specplan.run.outcome import Outcome

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = 105
RIDGE = {"use": "sklearn.linear_model:Ridge", "alpha": 0.5}
NODES = {"Net": specs.node(specs.MLP), "Ridge": specs.node(RIDGE)}
METRICS = {
    "rmse": {"use": "rmse", "node": "Net"},
    "ridge_rmse": {"use": "rmse", "node": "Ridge"},
}
FOLDS = {"use": "folds", "n": 5, "seed": 3}


def val(**changes: Any) -> dict[str, Any]:
    """The split `val`, at once."""
    phase = {"phase": "eval", "label": "val", "split": "val", "losses": ["mse"], "record": "none"}
    return phase | {"metrics": ["rmse", "ridge_rmse"]} | changes


def train(**changes: Any) -> dict[str, Any]:
    """Two epochs over the split `train`, of which only metrics are recorded."""
    return specs.train(record="none") | changes


def fit(**changes: Any) -> dict[str, Any]:
    """The scikit-learn node on the split `train`."""
    return specs.fit(record="none") | changes


def judge(**changes: Any) -> dict[str, Any]:
    """The split `test`, at once."""
    return specs.evaluation(record="none") | changes


def group(label: str, *phases: Mapping[str, Any], **keys: Any) -> dict[str, Any]:
    """A group of phases."""
    return {"group": label, **keys, "do": list(phases)}


def run(root: Path, *entries: Mapping[str, Any], **changes: Any) -> Outcome:
    """A run over a small table."""
    parts: dict[str, Any] = {"columns": specs.regression(ROWS), "nodes": NODES, "metrics": METRICS}
    return specs.run(specs.compiled(*entries, **parts | changes), root)


def cut(pool: NDArray[Any], n: int, seed: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """The folds that everyone writes: a shuffle, cut into parts, each left out once."""
    order = np.sort(pool)
    np.random.default_rng(seed).shuffle(order)
    parts = np.array_split(order, n)
    return [
        (np.concatenate([*parts[:index], *parts[index + 1 :]]), part)
        for index, part in enumerate(parts)
    ]


def hand_net(seed: int = 42) -> nn.Sequential:
    torch.manual_seed(seed_of(seed, "init/Net"))
    return nn.Sequential(
        nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
    )


def hand_training(net: nn.Module, rows: NDArray[Any], *, epochs: int = 2) -> None:
    """Two epochs of Adam on rows of the table, in the order of the sampler of `specs.train`."""
    x, y = tensors(rows)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(epochs):
        for batch in torch.split(specs.epoch_order(len(rows), epoch), 32):
            loss = nn.functional.mse_loss(net(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def tensors(rows: NDArray[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    columns = specs.regression(ROWS)
    x = torch.tensor(columns["x"][rows], dtype=torch.float32)
    return x, torch.tensor(columns["y"][rows], dtype=torch.float32)[:, None]


def rmse(outputs: NDArray[Any], rows: NDArray[Any]) -> float:
    targets = specs.regression(ROWS)["y"][rows]
    return float(np.sqrt(np.mean((outputs.astype(np.float64).ravel() - targets) ** 2)))


def series(outcome: Outcome, *paths: str, name: str) -> list[float]:
    return [value for path in paths for value in specs.values(outcome, path, name)]


def statuses(outcome: Outcome) -> dict[str, Status]:
    return {timing.path: timing.status for timing in outcome.run_file.phases}


def sample_ids(opened: Run, phase: str) -> list[int]:
    """The rows that a phase recorded, in order."""
    found: list[int] = opened.execution(phase).arrow.column("sample_id").to_pylist()
    return found


def fold_paths(label: str, n: int = 5) -> list[str]:
    return [f"cv.fold_{index}.{label}" for index in range(n)]


def test_cross_validation_has_the_numbers_of_a_hand_written_loop(tmp_path: Path) -> None:
    from sklearn.linear_model import Ridge

    phases = (train(), fit(), val())
    outcome = run(tmp_path, group("cv", *phases, for_each=FOLDS))
    columns = specs.regression(ROWS)
    losses, of_net, of_ridge = [], [], []
    for known, left_out in cut(specs.rows_of(ROWS, "train"), 5, 3):
        net = hand_net()
        hand_training(net, known)
        x, y = tensors(left_out)
        with torch.no_grad():
            outputs = net(x)
        losses.append(nn.functional.mse_loss(outputs, y).item())
        of_net.append(rmse(outputs.numpy(), left_out))
        ridge = Ridge(alpha=0.5).fit(columns["x"][known], columns["y"][known])
        of_ridge.append(rmse(ridge.predict(columns["x"][left_out]), left_out))
    assert series(outcome, *fold_paths("val"), name="mse") == losses
    assert series(outcome, *fold_paths("val"), name="rmse") == pytest.approx(of_net, rel=1e-6)
    found = series(outcome, *fold_paths("val"), name="ridge_rmse")
    assert found == pytest.approx(of_ridge, rel=1e-12)


def test_the_parts_of_the_folds_are_the_pool_and_the_test_split_stays(tmp_path: Path) -> None:
    test = judge(label="test", record="all")
    phases = (train(epochs=1, record="all"), val(metrics=[], record="all"), test)
    outcome = run(tmp_path, group("cv", *phases, for_each=FOLDS))
    opened = open_run(outcome.folder.path)
    left_out = []
    for index in range(5):
        known = sample_ids(opened, f"cv.fold_{index}.train")
        judged = sample_ids(opened, f"cv.fold_{index}.val")
        tested = sample_ids(opened, f"cv.fold_{index}.test")
        assert sorted(known + judged) == sorted(specs.rows_of(ROWS, "train"))
        assert tested == specs.rows_of(ROWS, "test").tolist()
        left_out += judged
    assert sorted(left_out) == sorted(specs.rows_of(ROWS, "train"))


def test_a_group_of_folds_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    folds = group("cv", train(), fit(), val(), for_each=FOLDS)
    before, after = train(label="before"), train(label="after")
    outcome = run(tmp_path, before, folds, after)
    alone = run(tmp_path, before, after)
    assert specs.same_weights(outcome.state.nodes["Net"], alone.state.nodes["Net"])
    assert not hasattr(outcome.state.nodes["Ridge"], "coef_")
    assert outcome.state.steps == alone.state.steps + sum(
        2 * phase.steps
        for phase in open_run(outcome.folder.path).plan.phases
        if phase.passes and phase.path.endswith(".train")
    )


def test_a_fold_begins_with_what_was_trained_before_the_group(tmp_path: Path) -> None:
    folds = group("cv", train(epochs=1), for_each={**FOLDS, "n": 2})
    outcome = run(tmp_path, train(label="before"), folds)
    first = [
        specs.values(outcome, f"cv.fold_{index}.train", "mse", whole=False)[0] for index in (0, 1)
    ]
    net = hand_net()
    hand_training(net, specs.rows_of(ROWS, "train"))
    for (known, _), found in zip(cut(specs.rows_of(ROWS, "train"), 2, 3), first, strict=True):
        x, y = tensors(known)
        batch = specs.epoch_order(len(known), 0)[:32]
        assert nn.functional.mse_loss(net(x[batch]), y[batch]).item() == found


def test_the_same_plan_has_the_same_bits(tmp_path: Path) -> None:
    sampler = {"use": "simple", "batch_size": 16, "shuffle": True}
    folds = {"use": "folds", "n": 3}
    phases = (train(sampler=sampler), fit(), val())
    one, other = (run(tmp_path, group("cv", *phases, for_each=folds)) for _ in range(2))
    assert one.run_file.plan_id == other.run_file.plan_id
    values = [[row["value"] for row in specs.metrics(outcome)] for outcome in (one, other)]
    assert values[0] == values[1]


def test_seeds_have_other_weights_and_leave_them(tmp_path: Path) -> None:
    phases = (train(epochs=1), judge())
    outcome = run(tmp_path, group("again", *phases, for_each={"use": "seeds", "n": 2}))
    plan = open_run(outcome.folder.path).plan
    found = [specs.values(outcome, f"again.seed_{index}.eval", "mse") for index in range(2)]
    for index, values in enumerate(found):
        seed = plan.phases[2 * index].passes[0].seed
        assert seed is not None
        net = hand_net(seed)
        hand_training(net, specs.rows_of(ROWS, "train"), epochs=1)
        x, y = tensors(specs.rows_of(ROWS, "test"))
        with torch.no_grad():
            assert values == [nn.functional.mse_loss(net(x), y).item()]
    assert found[0] != found[1]
    assert specs.same_weights(outcome.state.nodes["Net"], hand_net())


def test_folds_inside_seeds_and_folds_inside_folds(tmp_path: Path) -> None:
    inner = group(
        "in",
        fit(),
        val(losses=[], metrics=["ridge_rmse"], record="all"),
        for_each={"use": "folds", "n": 2},
    )
    outer = group("out", inner, fit(label="whole"), for_each={"use": "folds", "n": 3, "seed": 1})
    outcome = run(tmp_path, group("seeds", outer, for_each={"use": "seeds", "n": 2}))
    opened = open_run(outcome.folder.path)
    pool = specs.rows_of(ROWS, "train")
    for seed in range(2):
        for index, (known, _) in enumerate(cut(pool, 3, 1)):
            path = f"seeds.seed_{seed}.out.fold_{index}.in"
            judged = [
                row for part in range(2) for row in sample_ids(opened, f"{path}.fold_{part}.val")
            ]
            assert sorted(judged) == sorted(known.tolist())
    [spread] = opened.spreads()
    assert (spread.phase, spread.over, spread.planned) == (
        "seeds.out.in.val",
        "2 seeds x 3 folds x 2 folds",
        12,
    )


def test_spreads_are_the_mean_and_the_deviation_over_folds(tmp_path: Path) -> None:
    phases = (fit(), val(losses=[], metrics=["ridge_rmse"]))
    outcome = run(tmp_path, group("cv", *phases, for_each=FOLDS), fit())
    values = series(outcome, *fold_paths("val"), name="ridge_rmse")
    [spread] = open_run(outcome.folder.path).spreads()
    assert (spread.phase, spread.split, spread.node, spread.name) == (
        "cv.val",
        "val",
        "Ridge",
        "ridge_rmse",
    )
    assert spread.values == tuple(values)
    assert spread.mean == pytest.approx(np.mean(values), rel=1e-12)
    assert spread.deviation == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    assert str(spread) == (
        f"cv.val: ridge_rmse {np.mean(values):.4g} ± {np.std(values, ddof=1):.2g} over 5 folds"
    )


def test_large_means_are_written_without_exponents() -> None:
    spread = Spread(
        phase="cv.val",
        split="val",
        node=None,
        name="mse",
        over="2 folds",
        planned=2,
        values=(123451.0, 123651.0),
    )
    assert str(spread) == "cv.val: mse 123600 ± 140 over 2 folds"


def test_repeat_goes_on_with_the_weights_until_the_condition_holds(tmp_path: Path) -> None:
    whole = run(tmp_path, group("tune", train(), judge(), repeat={"max": 4}))
    losses = [specs.values(whole, f"tune.pass_{index}.eval", "mse")[0] for index in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert set(statuses(whole).values()) == {Status.COMPLETED}
    until = f"eval/mse <= {losses[1]!r}"
    repeat = {"max": 4, "until": until}
    phases = (train(record="last"), judge(record="all"))
    outcome = run(tmp_path, group("tune", *phases, repeat=repeat))
    assert [path for path, status in statuses(outcome).items() if status is Status.COMPLETED] == [
        "tune.pass_0.train",
        "tune.pass_0.eval",
        "tune.pass_1.train",
        "tune.pass_1.eval",
    ]
    reasons = [timing.reason for timing in outcome.run_file.phases[4:]]
    assert reasons == [
        f"mse of tune.pass_1.eval is {losses[1]:.6g}, <= {losses[1]:g}",
        f"mse of tune.pass_1.eval is {losses[1]:.6g}, <= {losses[1]:g}",
        "tune.pass_2.eval was skipped",
        "tune.pass_2.eval was skipped",
    ]
    assert series(outcome, "tune.pass_0.eval", "tune.pass_1.eval", name="mse") == losses[:2]
    assert {row["phase"] for row in specs.metrics(outcome)} == set(list(statuses(outcome))[:4])
    assert sorted(path.name for path in outcome.folder.tables.iterdir()) == [
        *(
            f"execution-tune.pass_{index}.{label}.parquet"
            for index in (0, 1)
            for label in ("eval", "train")
        ),
        "metrics.parquet",
    ]


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("eval/mse > 0", Status.COMPLETED),
        ("eval/mse >= 1e9", Status.SKIPPED),
        ("eval/mse == 0", Status.SKIPPED),
        ("eval/mse < 1e9", Status.COMPLETED),
    ],
)
def test_when_decides_whether_a_phase_is_run(
    tmp_path: Path, condition: str, status: Status
) -> None:
    again = train(label="again", when=condition)
    outcome = run(tmp_path, train(), judge(), again)
    assert statuses(outcome)["again"] is status


def test_when_on_a_group_and_on_what_was_skipped(tmp_path: Path) -> None:
    never = group("never", judge(), when="train/mse < 0")
    after = judge(label="after", when="never.eval/mse > 0")
    outcome = run(tmp_path, train(), never, after)
    assert list(statuses(outcome).values()) == [Status.COMPLETED, Status.SKIPPED, Status.SKIPPED]


def test_a_condition_sees_the_epoch_that_early_stopping_kept(tmp_path: Path) -> None:
    callbacks = [
        {"use": "evaluation", "split": "test"},
        {"use": "early_stopping", "monitor": "test_mse", "restore_best": True, "patience": 20},
    ]
    watched = train(epochs=12, callbacks=callbacks)
    diverging = {"use": "sgd", "lr": 0.5}
    alone = run(tmp_path, watched, optimizer=diverging)
    losses = specs.values(alone, "train", "test_mse")
    best = min(losses)
    assert losses[-1] > best
    again = judge(when=f"train/test_mse == {best!r}")
    outcome = run(tmp_path, watched, again, optimizer=diverging)
    assert statuses(outcome)["eval"] is Status.COMPLETED


def test_a_condition_on_what_is_no_number_does_not_hold(tmp_path: Path) -> None:
    again = [judge(label=name, when=f"eval/mse {op} 0") for name, op in (("a", "<"), ("b", ">="))]
    outcome = run(
        tmp_path,
        train(epochs=9),
        judge(),
        *again,
        optimizer={"use": "sgd", "lr": 1e9},
    )
    assert list(statuses(outcome).values())[2:] == [Status.SKIPPED, Status.SKIPPED]


LONG_RUN = """
import sys
from pathlib import Path
from tests.run import test_course
test_course.long_run(Path(sys.argv[1]))
"""


def long_run(root: Path) -> Outcome:
    """Eight folds that take a while."""
    phases = (train(epochs=20, record="none"), val(metrics=["rmse"], record="none"))
    return run(root, group("cv", *phases, for_each={"use": "folds", "n": 8}))


def folds_done(root: Path) -> list[Path]:
    """The folder of the run once its second fold is over."""
    files = (root / "tests").glob("[!.]*/run.json")
    return [file.parent for file in files if '"cv.fold_2.train"' in file.read_text()]


@pytest.mark.timeout(180)
def test_a_run_that_is_killed_between_folds_can_be_read(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", LONG_RUN, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([".", *sys.path])},
    )
    while not folds_done(tmp_path):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    opened = open_run(folds_done(tmp_path)[0])
    assert opened.status is Status.INTERRUPTED
    [spread] = [spread for spread in opened.spreads() if spread.name == "rmse"]
    assert 2 <= len(spread.values) < spread.planned == 8
    paths = [f"cv.fold_{index}.val" for index in range(len(spread.values))]
    assert spread.values == tuple(series(long_run(tmp_path / "whole"), *paths, name="rmse"))
