"""`mlx plan` and `mlx diff` as people type them."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


def test_the_bill(mlx: Mlx, project: Path) -> None:
    result = mlx("plan", "line.json", folder=project)
    assert (result.returncode, result.stderr) == (0, "")
    head, train, *_ = result.stdout.splitlines()
    assert head.split() == [
        *("phase", "kind", "rows", "steps", "parameters", "trained", "FLOPs", "once", "FLOPs"),
        *("memory", "records", "tables"),
    ]
    assert train.startswith("train")
    mlx("compile", "line.json", folder=project)
    assert mlx("plan", "line.plan.json", folder=project).stdout == result.stdout


def test_the_bill_as_json(mlx: Mlx, project: Path) -> None:
    result = mlx("plan", "line.json", "--json", "-c", "plan.train.epochs=50", folder=project)
    bill = json.loads(result.stdout)
    [train, *_] = bill["phases"]
    assert (train["path"], train["epochs"]) == ("train", 50)
    assert train["steps"] == 200
    assert train["recorded"].keys() == {"tensors", "index", "metrics", "tables"}


def test_too_little_room_is_said(mlx: Mlx, project: Path) -> None:
    many = "plan.train.epochs=100000000000"
    for verb in ("plan", "compile"):
        result = mlx(verb, "line.json", "-c", many, folder=project)
        assert result.returncode == 0
        assert "warning[SP802]: recording needs about " in result.stderr
        assert " are free in `runs`" in result.stderr
        assert result.stderr.startswith("line.json:")


def test_a_plan_that_does_not_hold_together(mlx: Mlx, project: Path) -> None:
    mlx("compile", "line.json", folder=project)
    from specplan.plan.canonical import id_of_written

    path = project / "line.plan.json"
    value = json.loads(path.read_text())
    value["graph"]["nodes"]["MLP"]["component"]["use"] = "mpl"
    path.write_text(json.dumps({**value, "id": id_of_written(value)}))
    result = mlx("plan", "line.plan.json", folder=project)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: graph.nodes.MLP names the unknown model `mpl`\n"


def test_a_spec_and_itself(mlx: Mlx, project: Path) -> None:
    result = mlx("diff", "line.json", "line.json", folder=project)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith(
        "\n\nthe plans have the same id: nothing that changes numbers differs\n"
    )


def test_what_an_override_changes(mlx: Mlx, project: Path) -> None:
    override = ("-c", "plan.train.epochs=7", "-c", "experiment.id=other")
    result = mlx("diff", "line.json", "line.json", *override, folder=project)
    assert (result.returncode, result.stderr) == (1, "")
    assert re.sub("b3:[0-9a-f]{64}", "b3:(id)", result.stdout) == (
        "line.json  b3:(id)\n"
        "line.json  b3:(id)\n"
        "\n"
        "changes the numbers\n"
        "  phase train: epochs 3 -> 7\n"
        "\n"
        "names and places only\n"
        "  experiment: id line -> other\n"
    )


def test_as_json(mlx: Mlx, project: Path) -> None:
    override = ("-c", "plan.train.epochs=7")
    result = mlx("diff", "line.json", "line.json", *override, "--json", folder=project)
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.returncode == 1
    assert found["same"] is False
    assert (found["environment"], found["metrics"], found["names"]) == ([], [], [])
    assert found["numbers"] == [
        {
            "place": "phase train",
            "name": "epochs",
            "kind": "changed",
            "before": 3,
            "after": 7,
            "note": "",
        }
    ]
    assert found["a"]["name"] == "line.json"
    assert found["a"]["plan"] != found["b"]["plan"]


@pytest.mark.slow
def test_two_runs(mlx: Mlx, project: Path) -> None:
    mlx("run", "line.json", "--quiet", folder=project)
    mlx("run", "line.json", "--quiet", "-c", "plan.train.epochs=4", folder=project)
    first, second = sorted(path.name for path in (project / "runs/line").iterdir())
    result = mlx("diff", f"line/{first}", f"runs/line/{second}", folder=project)
    assert (result.returncode, result.stderr) == (1, "")
    assert "  phase train: epochs 3 -> 4\n" in result.stdout
    assert "environment" not in result.stdout
    head = next(line for line in result.stdout.splitlines() if line.startswith("phase  "))
    assert head.split() == ["phase", "split", "node", "name", "a", "b"]
    found = json.loads(mlx("diff", "line.json", second, "--json", folder=project).stdout)
    assert (found["same"], found["metrics"], found["b"]["run"]) == (False, [], f"line/{second}")

    other = project / f"runs/line/{second}/environment.json"
    shutil.copy(project / f"runs/line/{first}/environment.json", other)
    text = other.read_text().replace('"cpus"', '"CPUs"')
    other.write_text(text)
    damaged = mlx("diff", first, second, folder=project)
    assert damaged.returncode == 1
    assert f"{second}/environment.json is damaged: it does not match its checksum" in damaged.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("line.json", "lime.json"), "no file `lime.json`, and no run `lime.json`: there are no"),
        (("line.json", "line.plan.json", "-c", "a=1"), "`line.plan.json` is a plan, which does"),
        (("line.json",), "Missing argument 'B'"),
    ],
)
def test_wrong_usage(mlx: Mlx, project: Path, words: tuple[str, ...], message: str) -> None:
    mlx("compile", "line.json", folder=project)
    result = mlx("diff", *words, folder=project)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
