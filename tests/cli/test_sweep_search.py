"""Points that are chosen by what runs measured, and runs that are not worth going on with."""

from __future__ import annotations

import json
import shutil
import statistics
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.base.files import write_atomically
from specplan.plan.passes.context import CodeUse
from specplan.results.open import open_run
from specplan.spec.composition import Composition
from specplan.store.checked_json import encode_checked
from specplan.store.run_file import Status
from specplan.sweep.folder import SweepFolder
from specplan.sweep.spec import read_sweep
from specplan.sweep.study import Studied

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


def write_sweep(folder: Path, spec: dict[str, Any], **sweep: Any) -> None:
    """A spec whose train phase is evaluated after each epoch, and a sweep of its rate."""
    spec["plan"][0]["callbacks"] = [{"use": "evaluation", "split": "test"}]
    spec["plan"][0]["epochs"] = 4
    vary = {"graph.optimizer.lr": {"log_uniform": [1e-5, 0.5]}, "run.seed": [1, 2]}
    whole = {"vary": vary, "metric": "train/test_loss", "runs": 6, **sweep}
    (folder / "sweep.json").write_text(json.dumps({**spec, "sweep": whole}))


def sweep_of(mlx: Mlx, folder: Path, *options: str) -> list[dict[str, Any]]:
    """The points of the sweep, run to their end."""
    result = mlx("sweep", "sweep.json", "--json", *options, folder=folder)
    assert result.returncode == 0, result.stderr
    points: list[dict[str, Any]] = json.loads(result.stdout)["points"]
    return points


def told(points: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What is the same in two sweeps that are the same."""
    return [(point["values"], point["status"], point["value"]) for point in points]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_a_study_is_the_same_again_also_in_two_parts(
    mlx: Mlx, project: Path, spec: dict[str, Any], method: str
) -> None:
    momentum = {"graph.optimizer.momentum": {"uniform": [0.0, 0.9]}} if method == "cmaes" else {}
    write_sweep(
        project,
        spec,
        vary={"graph.optimizer.lr": {"log_uniform": [1e-5, 0.5]}, "run.seed": [1, 2]} | momentum,
        method={"use": method, "n_startup_trials": 3},
        pruner={"use": "median", "n_startup_trials": 2},
    )
    whole = sweep_of(mlx, project)
    assert len(whole) == 6
    assert {point["status"] for point in whole} == {"completed", "stopped"}
    [folder] = (project / "runs/line").glob("sweep-*")

    # As if it had been killed after the fourth run began.
    kept = SweepFolder(folder).file
    write_atomically(
        folder / "sweep.json", encode_checked(msgspec.structs.replace(kept, points=kept.points[:4]))
    )
    for point in whole[3:]:
        shutil.rmtree(project / point["folder"])
    assert told(sweep_of(mlx, project)) == told(whole)

    for point in whole:
        shown = json.loads(mlx("show", point["folder"], "--json", folder=project).stdout)
        epochs = {row["epoch"] for row in shown["metrics"] if row["name"] == "test_loss"}
        if point["status"] == "stopped":
            assert "median: train/test_loss" in shown["error"]["message"]
            assert max(epochs) < 3
        else:
            assert epochs == {3}


@pytest.mark.slow
def test_a_grid_with_a_pruner(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    rates = [0.1, 0.05, 1e-4, 1e-5]
    halving = {"use": "successive_halving", "min_resource": 1, "reduction_factor": 2}
    write_sweep(project, spec, vary={"graph.optimizer.lr": rates}, pruner=halving)
    points = sweep_of(mlx, project)
    assert [point["values"]["graph.optimizer.lr"] for point in points] == rates
    assert [point["status"] for point in points] == ["completed", "stopped", "stopped", "stopped"]


def test_points_of_a_sequence(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    write_sweep(project, spec, method={"use": "qmc"}, runs=16)
    first, again = (
        json.loads(mlx("sweep", "sweep.json", "--dry-run", "--json", folder=project).stdout)
        for _ in range(2)
    )
    assert first == again
    values = [point["values"] for point in first["points"]]
    assert len({json.dumps(each) for each in values}) == 16
    # Of a sequence that covers the space evenly, half of the logarithms lie in the lower half.
    assert sum(each["graph.optimizer.lr"] < (1e-5 * 0.5) ** 0.5 for each in values) in (7, 8, 9)
    assert sum(each["run.seed"] == 1 for each in values) in (7, 8, 9)


def test_what_needs_a_metric_says_so(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    write_sweep(project, spec, method={"use": "tpe"}, pruner={"use": "hyperband"}, metric=None)
    result = mlx("sweep", "sweep.json", folder=project)
    assert result.returncode == 1
    assert "error[SP753]: `tpe` goes by a metric" in result.stderr
    assert "error[SP753]: `hyperband` goes by a metric" in result.stderr
    write_sweep(
        project, spec, pruner={"use": "median"}, metric="test/mse", method={"use": "random"}
    )
    result = mlx("sweep", "sweep.json", folder=project)
    assert "error[SP754]: a pruner looks at the epochs of one train phase" in result.stderr


def test_cmaes_needs_two_ranges(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    write_sweep(project, spec, method={"use": "cmaes"})
    result = mlx("sweep", "sweep.json", folder=project)
    assert result.returncode == 1
    assert (
        "error[SP753]: `cmaes` moves in two or more ranges of numbers, and the sweep has 1"
        in result.stderr
    )
    assert "hint: `uniform`, `log_uniform` and `integers` are ranges" in result.stderr


def test_without_optuna(
    mlx: Mlx, project: Path, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sweep(project, spec, method={"use": "tpe"})
    monkeypatch.setattr("specplan.sweep.by_optuna.find_spec", lambda _: None)
    result = mlx("sweep", "sweep.json", folder=project)
    assert result.returncode == 1
    assert "needs Optuna, which is not installed" in result.stderr
    assert "specplan[sweep]" in result.stderr
    assert not (project / "runs").exists()


def test_a_sweep_that_varies_the_seed_takes_no_seeds(
    mlx: Mlx, project: Path, spec: dict[str, Any]
) -> None:
    write_sweep(project, spec, method={"use": "tpe"})
    result = mlx("sweep", "sweep.json", "--seeds", "2", folder=project)
    assert result.returncode == 1
    assert "the sweep has seeds of its own" in result.stderr


@pytest.mark.slow
def test_what_is_chosen_goes_by_the_mean_over_seeds(
    mlx: Mlx, project: Path, spec: dict[str, Any]
) -> None:
    vary = {"graph.optimizer.lr": {"log_uniform": [1e-4, 0.5]}}
    write_sweep(project, spec, vary=vary, runs=4, method={"use": "tpe", "n_startup_trials": 2})
    whole = sweep_of(mlx, project, "--seeds", "2")
    assert [point["values"]["run.seed"] for point in whole] == [0, 1] * 4
    rates = [point["values"]["graph.optimizer.lr"] for point in whole]
    assert rates[::2] == rates[1::2]
    assert len({*rates}) == 4
    means = [statistics.fmean(each["value"] for each in whole[at : at + 2]) for at in (0, 2, 4, 6)]

    [folder] = (project / "runs/line").glob("sweep-*")
    sweep = read_sweep(project / "sweep.json", Composition(), CodeUse(), seeds=2)
    study = Studied(sweep, None, SweepFolder(folder))
    for known in SweepFolder(folder).file.points:
        study.begun(known)
        study.over(known, Status.COMPLETED)
    assert [trial.value for trial in study._study.trials] == means

    shown = mlx("sweep", "sweep.json", "--seeds", "2", "--status", folder=project).stdout
    best = min(range(4), key=means.__getitem__)
    runs = f"{whole[2 * best]['run']}, {whole[2 * best + 1]['run']}"
    assert f"best: {runs}, train/test_loss {means[best]:.6g}, the mean of 2 seeds\n" in shown

    # As if it had been killed in the middle of the third point.
    kept = SweepFolder(folder).file
    write_atomically(
        folder / "sweep.json", encode_checked(msgspec.structs.replace(kept, points=kept.points[:5]))
    )
    for point in whole[4:]:
        shutil.rmtree(project / point["folder"])
    assert told(sweep_of(mlx, project, "--seeds", "2")) == told(whole)


@pytest.mark.slow
def test_a_pruner_compares_means_over_seeds(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    halving = {"use": "successive_halving", "min_resource": 1, "reduction_factor": 2}
    write_sweep(project, spec, vary={"graph.optimizer.lr": [0.1, 1e-5]}, pruner=halving)
    points = sweep_of(mlx, project, "--seeds", "2")
    assert [point["status"] for point in points][2:] == ["stopped", "stopped"]
    assert points[0]["status"] == "completed"

    def after_epoch(point: dict[str, Any], epoch: int) -> float:
        rows = open_run(project / point["folder"]).metrics("test_loss", "train").arrow.to_pylist()
        (value,) = (row["value"] for row in rows if row["epoch"] == epoch and row["batch"] is None)
        return float(value)

    for point, compared in ((points[2], points[2:3]), (points[3], points[2:])):
        epoch = int(point["message"].rpartition(" ")[2])
        mean = statistics.fmean(after_epoch(each, epoch) for each in compared)
        assert f"test_loss {mean:.4g} after epoch {epoch}" in point["message"]
