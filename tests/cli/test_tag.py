"""`mlx tag`, and what `mlx show` prints of a run that a program drove."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from specplan.results.open import open_run
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        run = TrackedRun.start(
            tmp_path / "runs",
            "study",
            run_id=name,
            description="Does it help?",
            tags={"phase": None},
        )
        run.set_params({"lr": 0.1, "net": {"width": 8}})
        run.log_metrics({"loss": 0.5})
        run.end()
    return tmp_path


def test_tags_are_added_and_taken_away(mlx: Mlx, root: Path) -> None:
    tagged = mlx("tag", "study", "+baseline", "fold=3", "note=a=b", folder=root)
    assert (tagged.returncode, tagged.stderr) == (0, "")
    assert tagged.stdout == "study/second  baseline fold=3 note=a=b phase\n"
    # The letter of -h is in it.
    assert mlx("tag", "study", "-phase", "-note", folder=root).stdout == (
        "study/second  baseline fold=3\n"
    )
    assert mlx("tag", "study/first", folder=root).stdout == "study/first  phase\n"
    everywhere = mlx("tag", "stu*", "+all", "--json", folder=root)
    assert json.loads(everywhere.stdout) == [
        {"run": "study/first", "tags": {"all": None, "phase": None}},
        {"run": "study/second", "tags": {"all": None, "baseline": None, "fold": "3"}},
    ]
    assert open_run(root / "runs/study/second").tags["fold"] == "3"
    listed = mlx("list", "--tag", "fold=3", "--columns", "run", folder=root).stdout
    assert listed == "run\nsecond\n"
    assert mlx("verify", "study", folder=root).returncode == 0


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (("baseline",), 2, "what is `baseline`? `+baseline` adds a tag"),
        (("+",), 2, "'+' has no name of a tag, or cannot be printed"),
        (("=3",), 2, "'=3' has no name of a tag, or cannot be printed"),
        (("+a\x1bb",), 2, "cannot be printed"),
        (("--frist",), 2, "no option `--frist`; there: `--root`, `--json`, `--debug`"),
        (("-other",), 1, "error: run `runs/study/second` has no tag `other`; it has `phase`\n"),
    ],
)
def test_wrong_changes(
    mlx: Mlx, root: Path, changes: tuple[str, ...], code: int, message: str
) -> None:
    result = mlx("tag", "study", *changes, folder=root)
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert open_run(root / "runs/study/second").tags == {"phase": None}


def test_damaged_tags_are_told(mlx: Mlx, root: Path) -> None:
    mlx("tag", "study", "+baseline", folder=root)
    path = root / "runs/study/second/tags.json"
    path.write_text(path.read_text().replace("baseline", "bestline"))
    assert "tags.json is damaged: it does not match" in mlx("tag", "study", folder=root).stderr
    verified = mlx("verify", "study", folder=root)
    assert (verified.returncode, verified.stdout.splitlines()[0]) == (
        1,
        "tags.json: is damaged: it does not match its checksum",
    )


def test_show_a_run_of_a_program(mlx: Mlx, root: Path) -> None:
    mlx("tag", "study", "fold=3", folder=root)
    shown = mlx("show", "study", folder=root).stdout
    assert "\nabout    Does it help?\ntags     fold=3 phase\nhost     " in shown
    assert "\nparams\nparam      value\nlr           0.1\nnet.width      8\n" in shown
    assert re.search(r"^with .*specplan \S+, torch \S+, \w+ \w+", shown, re.M)
    summary = json.loads(mlx("show", "study", "--json", folder=root).stdout)
    assert summary["params"] == {"lr": 0.1, "net": {"width": 8}}
    assert summary["tags"] == {"fold": "3", "phase": None}
    assert summary["description"] == "Does it help?"
    assert set(summary["environment"]) >= {"versions", "host"}
