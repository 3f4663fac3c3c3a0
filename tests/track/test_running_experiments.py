"""The programs and command lines of the documentation of experiments, word for word."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

START = "from specplan.cli.start import main; main()"

FILES = {
    "project/experiment.py": """\
from specplan.experiments import ExperimentHelper, configuration, ConfigurationBase
@configuration
class Configuration(ConfigurationBase):
    #: Default learning rate
    learning_rate: float = 1e-3
def run(
    helper: ExperimentHelper, cfg: Configuration
):
    # Experimental code
    ...
""",
    "project/full.yaml": """\
file: experiment
learning_rate: 1e-4
""",
    "project/strict.yaml": """\
id: my-experiment
dirty_git: error # Fail if git is dirty
""",
    "project/pre_experiment.py": """\
# pre_experiment.py
import os
from specplan.experiments import mock_modules
# Set environment variables
os.environ["OMP_NUM_THREADS"] = "4"
# Mock PyTorch and related modules (submodules are automatically included)
mock_modules(['torch', 'pytorch_lightning', 'transformers', 'huggingface_hub'])
""",
    "project/prepared.yaml": """\
id: prepared
pre_experiment: pre_experiment.py
file: experiment
""",
    "project/mypackage/__init__.py": "",
    "project/mypackage/pre_experiment.py": "PREPARED = True\n",
    "project/mypackage/experiment.py": """\
from mypackage.pre_experiment import PREPARED
from specplan.experiments import ExperimentHelper, ConfigurationBase
def run(helper: ExperimentHelper, cfg: ConfigurationBase):
    assert PREPARED
""",
    "project/mypackage/full.yaml": """\
id: packaged
pre_experiment: mypackage.pre_experiment
module: mypackage.experiment
""",
    "project/first_stage/__init__.py": "",
    "project/first_stage/experiment.py": """\
from specplan.experiments import ExperimentHelper, ConfigurationBase
def run(helper: ExperimentHelper, cfg: ConfigurationBase):
    helper.log_metrics({"done": 1})
""",
    "project/first_stage/stage.yaml": """\
# Module name containing the "run" function
module: first_stage.experiment
# Python paths relative to the directory containing this YAML file
pythonpath:
- ..
""",
    "with_enum.py": """\
import sys
workdir = sys.argv[1]
from specplan import experiment, DirtyGitAction
# Using the enum
with experiment(workdir, "my-experiment", dirty_git=DirtyGitAction.ERROR) as xp:
    ...
# Or using the string value
with experiment(workdir, "my-experiment", dirty_git=DirtyGitAction.WARN) as xp:
    ...
""",
    "handling.py": """\
import sys
workdir = sys.argv[1]
from specplan import experiment, DirtyGitAction, DirtyGitError
try:
    with experiment(workdir, "my-experiment", dirty_git=DirtyGitAction.ERROR) as xp:
        ...
except DirtyGitError as e:
    print(f"Cannot run experiment: {e}")
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the documentation, in a repository without uncommitted changes."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / ".gitignore").write_text("__pycache__\n", encoding="utf-8")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    return tmp_path


def ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def mlx(folder: Path, line: str) -> str:
    return ran(folder, "-c", START, *line.split()).stdout


@pytest.mark.parametrize(
    ("line", "experiment"),
    [
        ("run-experiment --run-mode NORMAL full.yaml", "full"),
        ("run-experiment strict.yaml", "my-experiment"),
        ("run-experiment prepared.yaml", "prepared"),
        ("run-experiment mypackage/full.yaml", "packaged"),
        ("run-experiment first_stage/stage.yaml", "stage"),
    ],
)
def test_run_experiment(folder: Path, line: str, experiment: str) -> None:
    command, _, yaml = line.rpartition(" ")
    mlx(folder / "project", f"{command} --workdir work {yaml}")
    informations = folder / f"project/work/xp/{experiment}/informations.json"
    told = json.loads(informations.read_text())
    assert told["status"] == "completed"
    listed = mlx(folder / "project", "experiments --workdir work list")
    assert listed == f"{experiment} [{told['hostname']}] (1/1 jobs)\n"


def test_the_context_manager(folder: Path) -> None:
    ran(folder, "with_enum.py", "work")
    assert ran(folder, "handling.py", "work").stdout == ""
    assert len([path for path in (folder / "work/my-experiment").iterdir() if path.is_dir()]) == 3
    listed = mlx(folder, "experiments --workdir work list")
    assert re.fullmatch(r"my-experiment \[[\w.-]+\] \(0/0 jobs\)\n", listed)
    watched = mlx(folder, "experiments --workdir work monitor --console --once")
    assert re.fullmatch(r"my-experiment/[\d.-]+ \[[\w.-]+\] completed 0/0\n", watched)


def test_a_dirty_repository(folder: Path) -> None:
    (folder / "new.py").touch()
    said = ran(folder, "handling.py", "work").stdout
    assert said.startswith(
        "Cannot run experiment: the git repository has uncommitted changes: 1 untracked (new.py)"
    )
    assert not (folder / "work").exists()
