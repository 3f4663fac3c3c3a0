"""`mlx sweep` as people type it, with real runs in processes of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

SWEEP: dict[str, Any] = {
    "vary": {"graph.optimizer.lr": [0.05, 0.1], "graph.nodes.MLP.model.hidden_dim": [2, 4]},
    "metric": "test/mse",
}
"""What `swept` of conftest.py was run with."""


def write_sweep(folder: Path, spec: dict[str, Any], **sweep: Any) -> None:
    """A spec with another sweep than that of `sweep.json`, under the same name."""
    (folder / "sweep.json").write_text(json.dumps({**spec, "sweep": {**SWEEP, **sweep}}, indent=2))


def status_of(mlx: Mlx, folder: Path, *options: str) -> dict[str, Any]:
    """The sweep as JSON."""
    result = mlx("sweep", "sweep.json", "--status", "--json", *options, folder=folder)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_every_point_is_an_ordinary_run(swept: Path, mlx: Mlx) -> None:
    points = status_of(mlx, swept)["points"]
    assert [tuple(point["values"].values()) for point in points] == [
        *((0.05, 2), (0.05, 4), (0.1, 2), (0.1, 4)),
    ]
    assert {point["status"] for point in points} == {"completed"}
    for point in points:
        shown = json.loads(mlx("show", point["run"], "--json", folder=swept).stdout)
        assert shown["plan"] == point["plan_id"]
        [measured] = [
            each for each in shown["metrics"] if (each["phase"], each["name"]) == ("test", "mse")
        ]
        assert measured["value"] == point["value"]
        spec = json.loads((swept / point["folder"] / "spec.json").read_text())
        assert spec["graph"]["optimizer"]["lr"] == point["values"]["graph.optimizer.lr"]
        assert "sweep" not in spec


def test_what_is_printed(swept: Path, mlx: Mlx) -> None:
    lines = (swept / "out.txt").read_text().splitlines()
    assert lines[0].split() == [
        *("run", "graph.optimizer.lr", "graph.nodes.MLP.model.hidden_dim", "status", "test/mse"),
    ]
    points = status_of(mlx, swept)
    best = min(points["points"], key=lambda point: point["value"])
    assert points["best"] == best["index"]
    assert lines[-1] == f"best: {best['run']}, test/mse {best['value']:.6g}"
    said = (swept / "err.txt").read_text()
    assert f"{best['run']}  lr={best['values']['graph.optimizer.lr']:g}, hidden_dim=" in said


def test_compare_shows_what_varies(swept: Path, mlx: Mlx) -> None:
    shown = mlx("compare", "line", folder=swept).stdout
    assert "graph.optimizer.lr" in shown
    assert "hidden_dim" in shown


def test_a_sweep_that_is_over_runs_nothing_again(swept: Path, mlx: Mlx) -> None:
    before = {path: path.stat().st_mtime_ns for path in (swept / "runs").rglob("run.json")}
    result = mlx("sweep", "sweep.json", folder=swept)
    assert result.returncode == 0
    assert result.stderr.count("is completed already") == 4
    assert result.stdout == (swept / "out.txt").read_text()
    assert before == {path: path.stat().st_mtime_ns for path in (swept / "runs").rglob("run.json")}


def test_the_metrics_of_all_runs_are_one_table(swept: Path, mlx: Mlx) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    [folder] = (swept / "runs/line").glob("sweep-*")
    points = status_of(mlx, swept)["points"]
    wanted = {
        (
            point["values"]["graph.optimizer.lr"],
            point["values"]["graph.nodes.MLP.model.hidden_dim"],
            point["value"],
        )
        for point in points
    }
    columns = ["graph.optimizer.lr", "graph.nodes.MLP.model.hidden_dim", "value"]
    whole = pl.scan_parquet(f"{folder}/**/*.parquet").filter(
        (pl.col("phase") == "test") & (pl.col("name") == "mse") & pl.col("batch").is_null()
    )
    assert set(whole.select(columns).collect().rows()) == wanted
    frame = pd.read_parquet(folder / "metrics")
    chosen = frame[(frame.phase == "test") & (frame["name"] == "mse") & frame.batch.isna()]
    assert {*map(tuple, chosen[columns].to_numpy())} == wanted
    asked = duckdb.execute(
        f"""select "graph.optimizer.lr", "graph.nodes.MLP.model.hidden_dim", value
        from '{folder}/metrics/*.parquet' where phase = 'test' and name = 'mse' and batch is null"""
    ).fetchall()
    assert set(asked) == wanted


def test_the_bill_and_nothing_else(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    write_sweep(project, spec)
    result = mlx("sweep", "sweep.json", "--dry-run", "--seeds", "3", folder=project)
    assert (result.returncode, result.stderr) == (0, "")
    assert len([line for line in result.stdout.splitlines() if line.strip()[:1].isdigit()]) == 13
    assert "12 runs: 156 steps" in result.stdout
    assert not (project / "runs").exists()
    bill = json.loads(mlx("sweep", "sweep.json", "--dry-run", "--json", folder=project).stdout)
    one = json.loads(mlx("plan", "line.json", "--json", folder=project).stdout)
    assert (bill["runs"], bill["steps"]) == (4, 4 * one["steps"])
    assert bill["points"][3]["values"]["graph.nodes.MLP.model.hidden_dim"] == 4
    assert bill["points"][3]["flops"] == one["flops"]


def test_a_spec_without_a_sweep(mlx: Mlx, project: Path) -> None:
    result = mlx("sweep", "line.json", folder=project)
    assert result.returncode == 1
    assert "error[SP755]: the spec has no sweep" in result.stderr
    seeds = mlx("sweep", "line.json", "--seeds", "2", "--dry-run", "--json", folder=project)
    assert [point["values"] for point in json.loads(seeds.stdout)["points"]] == [
        {"run.seed": 0},
        {"run.seed": 1},
    ]


def test_every_point_is_compiled_before_the_first_run(
    mlx: Mlx, project: Path, spec: dict[str, Any]
) -> None:
    vary = {"plan.train.epochs": [1, 2.5], "graph.nodes.MLP.model.hiden_dim": [2, 3]}
    write_sweep(project, spec, vary=vary)
    result = mlx("sweep", "sweep.json", folder=project)
    assert result.returncode == 1
    lines = (project / "sweep.json").read_text().splitlines()
    places = [
        line.partition(": error")[0] for line in result.stderr.splitlines() if ": error" in line
    ]
    numbers = [int(place.split(":")[1]) - 1 for place in places]
    assert [lines[number].strip() for number in numbers] == [
        "2.5",
        '"graph.nodes.MLP.model.hiden_dim": [',
    ]
    assert "hint: did you mean `hidden_dim`" in result.stderr
    assert not (project / "runs").exists()
