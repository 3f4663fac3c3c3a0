"""Code of the user from the command: what is refused, what trusts it, and what never runs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

CODE = """\
from pathlib import Path

from torch import nn

Path(__file__).with_name("ran").touch()


class Net(nn.Module):
    def __init__(self, output_shape):
        super().__init__()
        self.layer = nn.Linear(1, output_shape[0])

    def forward(self, rows):
        return self.layer(rows.reshape(len(rows), -1))
"""


@pytest.fixture
def own(project: Path, spec: dict[str, Any]) -> Path:
    """A folder whose `line.json` names a model in `nets.py`."""
    spec["graph"]["nodes"]["MLP"]["model"] = {"use": "./nets.py:Net"}
    (project / "line.json").write_text(json.dumps(spec, indent=2))
    (project / "nets.py").write_text(CODE)
    return project


def test_what_only_reads_a_spec_never_runs_its_code(mlx: Mlx, own: Path) -> None:
    for verb in ("validate", "compile", "explain"):
        result = mlx(verb, "line.json", folder=own)
        assert result.returncode == 0, result.stderr
    assert not (own / "ran").exists()


def test_a_run_asks_for_trust_and_takes_it_for_one_call(mlx: Mlx, own: Path) -> None:
    refused = mlx("run", "line.json", folder=own)
    assert refused.returncode == 1
    assert "error[SP404]: `nets.py` is not trusted; a run would execute it" in refused.stderr
    assert "hint: review it, then `mlx trust nets.py`, or `--trust` for this call" in refused.stderr
    assert not (own / "runs").exists()
    assert not (own / "ran").exists()
    once = mlx("run", "line.json", "--trust", "--quiet", folder=own)
    assert once.returncode == 0, once.stderr
    assert mlx("run", "line.json", folder=own).returncode == 1


def test_a_plan_is_refused_as_its_spec_is(mlx: Mlx, own: Path) -> None:
    assert mlx("compile", "line.json", folder=own).returncode == 0
    refused = mlx("run", "line.plan.json", folder=own)
    assert (refused.returncode, refused.stderr) == (
        1,
        "error: `nets.py` is not trusted; a run would execute it\n"
        "hint: review it, then `mlx trust nets.py`, or `--trust` for this call only\n",
    )
    trusted = mlx("trust", "nets.py", folder=own)
    assert (trusted.returncode, trusted.stderr) == (0, "trusted nets.py: 1 file\n")
    assert mlx("run", "line.plan.json", "--quiet", folder=own).returncode == 0
    (own / "nets.py").write_text(CODE.replace("-1)", "1)"))
    changed = mlx("run", "line.plan.json", folder=own)
    assert (changed.returncode, changed.stderr) == (
        1,
        "error: `./nets.py:Net` changed after the plan was compiled\nhint: compile the spec again\n",
    )


def test_trust_is_listed_and_taken_back(mlx: Mlx, own: Path) -> None:
    assert mlx("trust", ".", folder=own).stderr == "trusted .: 1 file\n"
    assert mlx("trust", "--list", folder=own).stdout == f"{own}\n"
    (own / "more.py").write_text("")
    assert mlx("trust", "--list", folder=own).stdout == f"{own}  changed\n"
    assert mlx("trust", "--remove", ".", folder=own).stderr == ". is not trusted any more\n"
    again = mlx("trust", "--remove", ".", folder=own)
    assert (again.returncode, again.stdout) == (1, "")
    assert "`.` is not trusted; `mlx trust --list` says what is" in again.stderr
    assert mlx("trust", "--list", folder=own).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what to trust: a Python file or a folder"),
        (("nothing.py",), "no file or folder `nothing.py`"),
        (("--list", "."), "--list takes nothing else"),
    ],
)
def test_wrong_usage(mlx: Mlx, own: Path, arguments: tuple[str, ...], message: str) -> None:
    result = mlx("trust", *arguments, folder=own)
    assert result.returncode == 2
    assert message in result.stderr


def test_a_spec_in_a_folder_below_names_code_relative_to_itself(mlx: Mlx, own: Path) -> None:
    (own / "below").mkdir()
    (own / "below/line.yaml").write_text("specplan: 1\nimports: [../line.json]\n")
    result = mlx("compile", "below/line.yaml", "-o", "line.plan.json", folder=own)
    assert result.returncode == 0, result.stderr
    plan = json.loads((own / "line.plan.json").read_text())
    component = plan["graph"]["nodes"]["MLP"]["component"]
    assert component["use"] == "./nets.py:Net"
    assert mlx("run", "line.plan.json", "--trust", "--quiet", folder=own).returncode == 0
