"""`mlx run`: outcome, root, failures."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


def test_lines_and_the_last_table(finished: Path) -> None:
    (run,) = (finished / "runs/line").iterdir()
    lines = (finished / "err.txt").read_text().splitlines()
    assert lines[0] == f"run line/{run.name} in runs/line/{run.name}"
    assert lines[1] == "train: train, 30 rows of Data.train, 3 epochs of 4 steps"
    assert lines[2].startswith("train: epoch 0, 1/3 done  train_loss ")
    assert lines[3].startswith("train: epoch 2, 3/3 done  train_loss ")
    assert re.fullmatch(r"train: done in [\d.]+ s", lines[4])
    assert lines[5] == "test: eval, 10 rows of Data.test"
    assert re.match(r"test: done in [\d.]+ s  mse ", lines[6])
    assert lines[7:] == ["completed"]
    table = (finished / "out.txt").read_text()
    assert "phase  split  node  name        epoch" in table
    assert "test   test   MLP   mse             0" in table
    query = f'polars.scan_parquet("runs/line/{run.name}/tables/metrics.parquet").collect()'
    assert table.endswith(f"\nresults  runs/line/{run.name}\nquery    {query}\n")


def test_the_query_works(finished: Path) -> None:
    (run,) = (finished / "runs/line").iterdir()
    frame = polars.scan_parquet(run / "tables/metrics.parquet").collect()
    assert set(frame["name"]) == {"train_loss", "mse", "eval_loss"}
    assert polars.read_parquet(run / "tables/execution-train.parquet")[
        "epoch"
    ].unique().to_list() == [2]


def test_early_stopping_is_told(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    # A loss that falls gets worse from the first epoch on.
    rule = {"use": "early_stopping", "monitor": "mse", "mode": "max", "patience": 2}
    spec["plan"][0] |= {"epochs": 9, "callbacks": [rule | {"restore_best": True}]}
    (project / "line.json").write_text(json.dumps(spec))
    result = mlx("run", "line.json", folder=project)
    assert result.returncode == 0
    assert re.search(
        r"^train: stopped early after 3 epochs, best epoch 0 restored \(mse [\d.]+\)$",
        result.stderr,
        re.MULTILINE,
    )
    assert re.search(r"^train +train +MLP +mse +0 ", result.stdout, re.MULTILINE)
    assert re.search(r"execution-train\.parquet +30$", result.stdout, re.MULTILINE)
    shown = mlx("show", "line", folder=project).stdout
    assert re.search(
        r"^train +train +train +30 +9 x 4 +2 +0 +completed +[\d.]+ s$", shown, re.MULTILINE
    )
    assert re.search(r"^train: stopped early after 3 epochs, best epoch 0", shown, re.MULTILINE)


def test_quiet_and_json(mlx: Mlx, project: Path) -> None:
    result = mlx("run", "line.json", "--quiet", "--json", folder=project)
    assert (result.returncode, result.stderr) == (0, "")
    outcome: dict[str, Any] = json.loads(result.stdout)
    assert (outcome["experiment"], outcome["version"], outcome["status"]) == (
        "line",
        1,
        "completed",
    )
    assert {row["name"] for row in outcome["metrics"]} == {"train_loss", "mse", "eval_loss"}
    assert (project / outcome["folder"] / "run.json").is_file()


def test_the_root_of_the_plan_lies_beside_it(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    spec["results"] = {"dir": "of_plan"}
    (project / "deep").mkdir()
    (project / "deep/line.json").write_text(json.dumps(spec))
    (project / "line.parquet").rename(project / "deep/line.parquet")
    assert mlx("run", "deep/line.json", folder=project).returncode == 0
    assert len(list((project / "deep/of_plan/line").iterdir())) == 1


def test_a_plan_runs_like_its_spec(mlx: Mlx, project: Path) -> None:
    assert mlx("compile", "line.json", folder=project).returncode == 0
    results = [
        json.loads(mlx("run", name, "--quiet", "--json", folder=project).stdout)
        for name in ("line.json", "line.plan.json")
    ]
    first, second = ([row["value"] for row in result["metrics"]] for result in results)
    assert first == second
    assert results[0]["plan"] == results[1]["plan"]


def test_a_run_goes_on_as_it_began(mlx: Mlx, project: Path) -> None:
    refused = mlx("resume", "line", "-c", "run.seed=1", folder=project)
    assert refused.returncode == 2
    assert (
        "a run goes on as it began, so `-c run.seed=1` has no place here\nhint: `mlx run SPEC"
        in (refused.stderr)
    )


def test_a_plan_that_was_edited(mlx: Mlx, project: Path) -> None:
    mlx("compile", "line.json", folder=project)
    plan = project / "line.plan.json"
    plan.write_text(plan.read_text().replace('"epochs":3', '"epochs":4'))
    result = mlx("run", "line.plan.json", folder=project)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: line.plan.json: the contents do not match the id")
    assert not (project / "runs").exists()


def test_data_that_changed_since(mlx: Mlx, project: Path) -> None:
    mlx("compile", "line.json", folder=project)
    frame = polars.read_parquet(project / "line.parquet")
    frame.head(20).write_parquet(project / "line.parquet")
    result = mlx("run", "line.plan.json", folder=project)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("line.json:12:17: error[SP502]: FeatureSet `Data`: ")
    assert "line.parquet" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_json_file_that_is_nested_too_deeply(mlx: Mlx, project: Path) -> None:
    (project / "deep.json").write_text("[" * 100_000)
    result = mlx("run", "deep.json", folder=project)
    assert result.returncode == 1
    assert "deep.json:1:65: error[SP003]: nesting deeper than 64 levels" in result.stderr
