"""Points that are chosen by what runs measured, and runs that are not worth going on with."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.plan.canonical import write_atomically
from specplan.store.checked_json import encode_checked
from specplan.sweep.folder import SweepFolder

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


def sweep_of(mlx: Mlx, folder: Path) -> list[dict[str, Any]]:
    """The points of the sweep, run to their end."""
    result = mlx("sweep", "sweep.json", "--json", folder=folder)
    assert result.returncode == 0, result.stderr
    points: list[dict[str, Any]] = json.loads(result.stdout)["points"]
    return points


def told(points: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What is the same in two sweeps that are the same."""
    return [(point["values"], point["status"], point["value"]) for point in points]


@pytest.mark.slow
def test_a_study_is_the_same_again_also_in_two_parts(
    mlx: Mlx, project: Path, spec: dict[str, Any]
) -> None:
    write_sweep(
        project,
        spec,
        method={"use": "tpe", "n_startup_trials": 3},
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


def test_without_optuna(
    mlx: Mlx, project: Path, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sweep(project, spec, method={"use": "tpe"})
    monkeypatch.setattr("specplan.sweep.search.find_spec", lambda _: None)
    result = mlx("sweep", "sweep.json", folder=project)
    assert result.returncode == 1
    assert "needs Optuna, which is not installed" in result.stderr
    assert "specplan[sweep]" in result.stderr
    assert not (project / "runs").exists()


def test_seeds_with_tpe_are_refused(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    write_sweep(project, spec, method={"use": "tpe"}, vary={"graph.optimizer.lr": [0.1, 0.2]})
    result = mlx("sweep", "sweep.json", "--seeds", "2", folder=project)
    assert result.returncode == 1
    assert "`tpe` goes by one run of each point" in result.stderr
    write_sweep(project, spec, method={"use": "random"})
    result = mlx("sweep", "sweep.json", "--seeds", "2", folder=project)
    assert "the sweep has seeds of its own" in result.stderr
