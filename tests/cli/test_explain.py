"""`mlx explain SPEC PATH`: where a value comes from.

`UPDATE_GOLDEN=1 pytest tests/cli/test_explain.py` writes the texts anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

GOLDEN = Path(__file__).parent.parent / "golden/provenance"

BASE = """\
specplan: 1
params: {lr: 0.1}
graph:
  nodes:
    MLP: {model: {use: mlp, hidden_dim: 4}, input: Data.x, target: Data.y}
  optimizer: {use: sgd, lr: 0.5}
plan:
  - phase: train
    label: fit
    sampler: {use: simple, batch_size: 16}
    losses: [mse]
  - group: deep
    do:
      - {phase: eval, label: test, losses: [mse]}
"""
SPEC = """\
imports: [base.yaml]
params: {lr: 0.01}
graph:
  optimizer: {lr: {$: params.lr}}
"""

EXPLAINED = {
    "default": ["run.seed"],
    "default_of_a_component": ["plan.fit.sampler.shuffle"],
    "group": ["plan.deep.test"],
    "index": ["plan[1].do[0].losses.0"],
    "list": ["plan"],
    "mapping": ["graph.optimizer", "-c", "params.lr=1e-3", "-c", "graph.optimizer.momentum=0.9"],
    "not_there_yet": ["results"],
    "override": ["plan.fit.sampler.batch_size", "-c", "plan.fit.sampler.batch_size=64"],
    "override_twice": ["run.seed", "-c", "run.seed=1", "-c", "run.seed=2"],
    "parameter": ["graph.optimizer.lr", "-c", "params.lr=1e-3"],
    "parameter_itself": ["params.lr"],
    "pre_and_post": ["run.seed", "--pre-yaml", "pre.yaml", "--post-yaml", "post.yaml"],
}

UNKNOWN = {
    "plan.fti": "`plan` has no item `fti`; it has `fit`, `deep`\nhint: did you mean `fit`?",
    "plan.7": "`plan` has 2 items, and no item 7",
    "graph.optimizer.momentun": "`graph.optimizer` has no `momentun`; it has `use`, `lr`, `momentum`, "
    "`dampening`, `weight_decay`, `nesterov`\nhint: did you mean `momentum`?",
    "plan.fit.sampler.batchsize": "`plan[0].sampler` has no `batchsize`; it has `use`, `batch_size`, "
    "`shuffle`, `group_by`, `stratify_by`, `strict_stratification`, `drop_last`, `seed`, "
    "`reshuffle`\nhint: did you mean `batch_size`?",
    "params.lr.x": "`params.lr` is number 0.01, and has no `x`",
    "data": "`data` is not set, and has no default",
    "plan..fit": "`plan..fit` is not a place: keys and indexes with `.` between them, as in "
    "`plan.0.epochs`",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "pre.yaml").write_text("run:\n  seed: 5\n")
    (tmp_path / "post.yaml").write_text("run:\n  seed: 7\n")
    return tmp_path


@pytest.mark.parametrize("name", EXPLAINED)
def test_text(mlx: Mlx, folder: Path, name: str) -> None:
    result = mlx("explain", "spec.yaml", *EXPLAINED[name], folder=folder)
    assert (result.returncode, result.stderr) == (0, "")
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(result.stdout, encoding="utf-8")
    assert result.stdout == golden.read_text(encoding="utf-8")


def test_no_text_without_its_example() -> None:
    assert sorted(file.stem for file in GOLDEN.iterdir()) == sorted(EXPLAINED)


@pytest.mark.parametrize("address", UNKNOWN)
def test_a_place_that_there_is_not(mlx: Mlx, folder: Path, address: str) -> None:
    result = mlx("explain", "spec.yaml", address, folder=folder)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"error: {UNKNOWN[address]}\n"


def test_json(mlx: Mlx, folder: Path) -> None:
    arguments = ("spec.yaml", "graph.optimizer", "-c", "params.lr=1e-3", "--json")
    result = mlx("explain", *arguments, folder=folder)
    assert result.returncode == 0
    explained = json.loads(result.stdout)
    assert (explained["path"], explained["value"]) == (
        ["graph", "optimizer"],
        {"use": "sgd", "lr": 0.001},
    )
    rate = next(child for child in explained["children"] if child["path"][-1] == "lr")
    assert [step["cause"] for step in rate["chain"]] == [
        "default",
        "import",
        "parameter",
        "import",
        "file",
        "override",
    ]
    assert rate["chain"][-1]["origin"]["text"] == "params.lr=1e-3"
    assert rate["chain"][0]["description"] == "Learning rate."


def test_a_spec_that_cannot_be_composed(mlx: Mlx, folder: Path) -> None:
    result = mlx("explain", "spec.yaml", "run.seed", "-c", "plan.9.x=1", folder=folder)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("-c:1:6: error[SP104]: ")


def test_wrong_usage(mlx: Mlx, folder: Path) -> None:
    result = mlx("explain", "spec.yaml", "--json", folder=folder)
    assert result.returncode == 2
    assert "--json is for a PATH of the spec" in result.stderr
