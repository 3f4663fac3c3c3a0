"""`mlx run-experiment`: the command lines and files of its documentation, word for word, and what goes wrong."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from specplan.results.open import open_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

GOLDEN = Path(__file__).parent.parent / "golden/run_experiment"

EXPERIMENT = """\
from specplan.experiments import ExperimentHelper, configuration, ConfigurationBase


@configuration
class Configuration(ConfigurationBase):
    #: Default learning rate
    learning_rate: float = 1e-3


def run(
    helper: ExperimentHelper, cfg: Configuration
):
    for step in range(3):
        helper.log_metrics({"loss": cfg.learning_rate / (step + 1)}, step)
    helper.log_artifact("words", list(helper.args))
"""
NESTED = """\
import enum
from dataclasses import asdict

from specplan.experiments import ConfigurationBase, ExperimentHelper, configuration


class Optimizer(enum.Enum):
    ADAM = "adam"
    SGD = "sgd"


@configuration
class Model:
    #: Width of the hidden layers
    hidden_size: int = 32
    num_layers: int = 2


@configuration
class Transform:
    name: str
    size: int | None = None


@configuration
class Data:
    transforms: list[Transform] = []


@configuration
class Configuration(ConfigurationBase):
    learning_rate: float
    batch_size: int = 1
    optimizer: Optimizer = Optimizer.SGD
    weight_decay: float = 0.0
    model: Model = Model()
    data: Data = Data()


def run(helper: ExperimentHelper, cfg: Configuration) -> None:
    helper.log_artifact("configuration", asdict(cfg) | {
        "optimizer": cfg.optimizer.value, "dirty_git": cfg.dirty_git.value
    })
"""
FILES: Mapping[str, str] = {
    "experiment.py": EXPERIMENT,
    "full.yaml": "file: experiment\nlearning_rate: 1e-4\n",
    "nested.py": NESTED,
    "base.yaml": "id: base-experiment\nlearning_rate: 1e-3\nbatch_size: 32\n",
    "optimizer.yaml": "optimizer: adam\nweight_decay: 0.01\n",
    "experiment.yaml": """\
imports:
- base.yaml
- optimizer.yaml
id: my-experiment
file: nested
learning_rate: 1e-4 # Override value from base.yaml
data:
  transforms:
  - {name: crop, size: 3}
""",
    "defaults.yaml": "learning_rate: 7\nbatch_size: 7\nid: defaults\n",
    "main.yaml": "file: nested.py\nid: main\nlearning_rate: 1e-4\n",
    "overrides.yaml": "model: {num_layers: 9}\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the documentation."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def configuration_of(folder: Path, experiment: str) -> dict[str, Any]:
    artifact = open_run(experiment, root=folder / "runs").artifacts["configuration"]
    value: dict[str, Any] = json.loads(artifact.path.read_text(encoding="utf-8"))
    return value


def test_the_first_example(folder: Path) -> None:
    command = "-m specplan.cli.main run-experiment --run-mode NORMAL full.yaml"
    result = subprocess.run(
        [sys.executable, *command.split()], cwd=folder, capture_output=True, text=True, check=False
    )
    (path,) = (folder / "runs/full").iterdir()
    assert result.returncode == 0, result.stderr
    lines = result.stderr.splitlines()
    assert lines[:3] == [
        "note: no `id` is given; it is `full`, the name of the file",
        f"run full/{path.name} in runs/full/{path.name}",
        "run: call ./experiment.py:run",
    ]
    assert re.fullmatch(r"run: done in [\d.]+ s  loss 3\.333e-05", lines[3])
    assert lines[4:] == ["completed"]
    run = open_run(path)
    rows = run.metrics().arrow.to_pylist()
    assert [(row["step"], row["value"]) for row in rows] == [(0, 1e-4), (1, 5e-5), (2, 1e-4 / 3)]
    assert {(row["phase"], row["name"], row["epoch"], row["batch"]) for row in rows} == {
        ("run", "loss", None, None)
    }
    found = {file.name for file in path.iterdir()}
    assert found >= {"run.json", "plan.json", "spec.json", "environment.json", "plan.map.json"}
    environment = json.loads((path / "environment.json").read_bytes())
    assert environment["host"]["name"] == run.run_file.sessions[0].host


DOCUMENTED: dict[str, tuple[str, dict[str, Any]]] = {
    "--pre-yaml defaults.yaml --post-yaml overrides.yaml main.yaml": (
        "main",
        {"id": "main", "learning_rate": 1e-4, "batch_size": 7, "model": {"num_layers": 9}},
    ),
    "-c learning_rate=1e-5 -c batch_size=64 experiment.yaml": (
        "my-experiment",
        {"learning_rate": 1e-5, "batch_size": 64, "optimizer": "adam", "weight_decay": 0.01},
    ),
    "-c model.hidden_size=512 -c model.num_layers=6 experiment.yaml": (
        "my-experiment",
        {"model": {"hidden_size": 512, "num_layers": 6}, "learning_rate": 1e-4, "batch_size": 32},
    ),
    "-c data.transforms.0.name=resize experiment.yaml": (
        "my-experiment",
        {"data": {"transforms": [{"name": "resize", "size": 3}]}},
    ),
}


@pytest.mark.parametrize("line", DOCUMENTED)
def test_documented_command_lines(line: str, mlx: Mlx, folder: Path) -> None:
    experiment, expected = DOCUMENTED[line]
    result = mlx("run-experiment", *shlex.split(line), folder=folder)
    assert result.returncode == 0, result.stderr
    found = configuration_of(folder, experiment)
    for key, value in expected.items():
        if isinstance(value, dict):
            assert found[key].items() >= value.items()
        else:
            assert found[key] == value


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--show experiment.yaml", {"learning_rate": 1e-4, "batch_size": 32}),
        (
            "--show -c learning_rate=1e-5 --pre-yaml base.yaml experiment.yaml",
            {"learning_rate": 1e-5, "batch_size": 32, "id": "my-experiment"},
        ),
    ],
)
def test_show_runs_and_writes_nothing(
    line: str, expected: dict[str, Any], mlx: Mlx, folder: Path
) -> None:
    (folder / "nested.py").write_text("raise SystemExit('it ran')\n", encoding="utf-8")
    before = sorted(folder.iterdir())
    result = mlx("run-experiment", *shlex.split(line), folder=folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1
    shown = json.loads(result.stdout)
    assert shown.items() >= expected.items()
    assert shown["data"] == {"transforms": [{"name": "crop", "size": 3}]}
    assert sorted(folder.iterdir()) == before


def test_show_says_the_default_of_the_id(mlx: Mlx, folder: Path) -> None:
    result = mlx("run-experiment", "--show", "full", folder=folder)
    assert result.stdout == '{"id": "full", "file": "experiment", "learning_rate": 0.0001}\n'
    assert result.stderr == "note: no `id` is given; it is `full`, the name of the file\n"


def write_module(folder: Path) -> Path:
    """A package with an experiment, and what runs before it."""
    package = folder / "project/first_stage"
    (package / "sub").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "sub/__init__.py": "",
        "settings.py": "THREADS = 1\n",
        "pre_experiment.py": """\
import os
from specplan.experiments import mock_modules
from first_stage import settings

# Set environment variables
os.environ["OF_FIRST_STAGE"] = "4"
settings.THREADS = 4

# Mock PyTorch and related modules (submodules are automatically included)
mock_modules(['torch', 'pytorch_lightning', 'transformers', 'huggingface_hub'])
""",
        "sub/experiment.py": """\
import os
import torch.nn.functional as F
from transformers import AutoModel
from torch import nn
from first_stage import settings
from specplan.experiments import ConfigurationBase, ExperimentHelper, configuration


class Net(nn.Module):
    pass


@configuration
class Configuration(ConfigurationBase):
    width: int = 3


def run(helper: ExperimentHelper, cfg: Configuration) -> None:
    threads = int(os.environ["OF_FIRST_STAGE"])
    helper.log_metrics({"threads": threads, "set": settings.THREADS, "width": cfg.width})
    assert cfg.module == "first_stage.sub.experiment"
    assert repr(F.relu) == "<mock torch.nn.functional.relu>"
""",
        "sub/full.yaml": "module: first_stage.sub.experiment\npre_experiment: first_stage.pre_experiment\n",
        "sub/explicit.yaml": "module: first_stage.sub.experiment\npythonpath:\n- ../..\n"
        "pre_experiment: ../pre_experiment.py\n",
    }.items():
        (package / name).write_text(text, encoding="utf-8")
    return package


@pytest.mark.parametrize("name", ["full", "explicit"])
def test_a_module_with_mocks(
    name: str, mlx: Mlx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path)
    monkeypatch.setenv("OF_FIRST_STAGE", "1")  # so that it is put back: the code changes it
    yaml = f"project/first_stage/sub/{name}.yaml"
    search_path = list(sys.path)
    result = mlx("run-experiment", yaml, "-c", "width=5", "--quiet", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    rows = open_run(name, root=tmp_path / "runs").metrics().arrow.to_pylist()
    assert {row["name"]: row["value"] for row in rows} == {"threads": 4, "set": 4, "width": 5}
    assert sys.path == search_path
    import torch

    assert torch.zeros(1).item() == 0


def test_words_after_the_file(mlx: Mlx, folder: Path) -> None:
    result = mlx("run-experiment", "full.yaml", "--quiet", "--json", "--", "a", "-b", folder=folder)
    outcome = json.loads(result.stdout)
    assert (outcome["status"], outcome["metrics"][0]["name"]) == ("completed", "loss")
    run = open_run("full", root=folder / "runs")
    assert json.loads(run.artifacts["words"].path.read_text()) == ["a", "-b"]


def test_dry_run_writes_nothing(mlx: Mlx, folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = mlx("run-experiment", "--run-mode", "dry_run", "experiment.yaml", folder=folder)
    assert result.returncode == 0
    assert result.stdout.endswith(
        """
phase 1 run: call ./nested.py:run
  batch_size: 32
  data: {transforms: [{name: crop, size: 3}]}
  learning_rate: 0.0001
  optimizer: adam
  weight_decay: 0.01
"""
    )
    assert sorted(folder.iterdir()) == before
    wrong = mlx(
        "run-experiment", "--run-mode", "Dry_Run", "-c", "batch_size=x", "main", folder=folder
    )
    assert wrong.returncode == 1
    assert "error[SP202]: expected integer" in wrong.stderr


def test_generate_only_writes_the_plan(mlx: Mlx, folder: Path) -> None:
    result = mlx("run-experiment", "--run-mode", "GENERATE_ONLY", "full.yaml", folder=folder)
    assert result.returncode == 0
    plan = json.loads((folder / "full.plan.json").read_bytes())
    assert plan["phases"][0]["function"]["use"] == "./experiment.py:run"
    assert not (folder / "runs").exists()
    refused = mlx("run", "full.plan.json", folder=folder, SPECPLAN_CONFIG=str(folder / "config"))
    assert refused.returncode == 1
    assert "`experiment.py` is not trusted; a run would execute it" in refused.stderr
    assert mlx("run", "--trust", "full.plan.json", folder=folder).returncode == 0


def test_prepare_makes_the_folder(mlx: Mlx, folder: Path) -> None:
    result = mlx(
        "run-experiment", "--run-mode", "PREPARE", "full.yaml", "--workdir", "w", folder=folder
    )
    assert result.returncode == 0
    run = open_run(folder / result.stdout.strip())
    assert (run.status, run.phases) == ("created", ())
    assert (run.folder.path.parent.parent.name, run.folder.spec_file.is_file()) == ("w", True)
    assert not run.folder.records.exists()


def test_add_timestamp(mlx: Mlx, folder: Path) -> None:
    mlx("run-experiment", "full.yaml", "-c", "add_timestamp=true", "--quiet", folder=folder)
    (experiment,) = (path for path in (folder / "runs").iterdir() if path.name != "xp")
    assert re.fullmatch(r"full-\d{8}-\d{6}", experiment.name)
    lines = mlx("list", folder=folder).stdout.splitlines()
    assert lines[1].split()[0] == experiment.name


def test_dirty_git(mlx: Mlx, folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    arguments = ("run-experiment", "full.yaml", "-c", "dirty_git=error")
    refused = mlx(*arguments, folder=folder)
    assert refused.returncode == 1
    assert "error: the git repository has uncommitted changes: 9 untracked" in refused.stderr
    assert not (folder / "runs").exists()
    assert mlx(*arguments, "--run-mode", "DRY_RUN", folder=folder).returncode == 0


def test_ctrl_c_ends_a_function_that_needs_no_torch(folder: Path) -> None:
    waiting = "import sys, time; assert 'torch' not in sys.modules; time.sleep(50)"
    text = EXPERIMENT.replace("    helper.log_artifact", f"    {waiting}\n    helper.log_artifact")
    (folder / "experiment.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "specplan.cli.main", "run-experiment", "full.yaml"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "run: call" not in process.stderr.readline():
            pass
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "interrupted; what was recorded is in runs/full/" in rest
    run = open_run("full", root=folder / "runs")
    assert (run.status, run.metrics().arrow.num_rows) == ("interrupted", 3)


WRONG: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "unknown_key": ({"full.yaml": "file: experiment\nlearnin_rate: 1e-4\n"}, ()),
    "unknown_override": ({}, ("-c", "learnin_rate=1e-4")),
    "wrong_type": ({"full.yaml": "learning_rate: fast\n"}, ()),
    "wrong_base_key": ({"full.yaml": "pythonpath: ..\nadd_timestamp: maybe\n"}, ()),
    "wrong_id": ({"full.yaml": "id: 7 days\n"}, ()),
    "near_miss_of_dirty_git": ({"full.yaml": "dirty_git: ERROR\n"}, ()),
    "infinite": ({"full.yaml": "learning_rate: .inf\n"}, ()),
    "infinite_and_others": ({"full.yaml": "batch_sice: 4\n"}, ("-c", "learning_rate=.inf")),
    "missing_file": ({"full.yaml": "file: experimet\n"}, ()),
    "missing_module": ({"full.yaml": "module: experimet\n"}, ()),
    "file_and_module": ({"full.yaml": "file: experiment\nmodule: experiment\n"}, ()),
    "missing_pre_experiment": ({"full.yaml": "pre_experiment: before.py\n"}, ()),
    "missing_pythonpath": ({"full.yaml": "pythonpath: [nowhere]\n"}, ()),
    "failing_pre_experiment": (
        {"full.yaml": "pre_experiment: before.py\n", "before.py": "\nraise ValueError('no')\n"},
        (),
    ),
    "failing_import": ({"experiment.py": "import nowhere_at_all\n" + EXPERIMENT}, ()),
    "not_python": ({"experiment.py": "def run(helper, cfg:\n"}, ()),
    "no_run": ({"experiment.py": EXPERIMENT.replace("def run(", "def runs(")}, ()),
    "one_parameter": ({"experiment.py": "def run(cfg):\n    pass\n"}, ()),
    "three_parameters": ({"experiment.py": "def run(helper, cfg, more):\n    pass\n"}, ()),
    "no_annotation": ({"experiment.py": "def run(helper, cfg):\n    pass\n"}, ()),
    "unknown_annotation": (
        {
            "experiment.py": "from __future__ import annotations\ndef run(helper, cfg: Cfg):\n    pass\n"
        },
        (),
    ),
    "failing": ({"experiment.py": EXPERIMENT.replace("range(3)", "range(3 // 0)")}, ()),
    "exit": (
        {"experiment.py": EXPERIMENT.replace("for step", "raise SystemExit(3)\n    for step")},
        (),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str, mlx: Mlx, folder: Path) -> None:
    files, arguments = WRONG[name]
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    result = mlx("run-experiment", "full.yaml", "--quiet", *arguments, folder=folder)
    assert (result.returncode, result.stdout) == (1, "")
    told = result.stderr.replace(str(folder), "FOLDER")
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")
    failed = name in ("failing", "exit")
    assert (folder / "runs").exists() == failed
    if failed:
        run = open_run("full", root=folder / "runs")
        assert run.status == "failed"
        assert "experiment.py" in run.folder.error_log.read_text(encoding="utf-8")


def test_no_text_without_its_case() -> None:
    assert sorted(file.stem for file in GOLDEN.iterdir()) == sorted(WRONG)


def test_a_run_mode_that_there_is_not(mlx: Mlx, folder: Path) -> None:
    result = mlx("run-experiment", "--run-mode", "FAST", "full.yaml", folder=folder)
    assert result.returncode == 2
    assert "'normal', 'dry_run', 'generate_only', 'prepare'" in result.stderr
