"""Words that a shell completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from specplan.cli.main import VERBS
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs`. Not to be changed."""
    folder = tmp_path_factory.mktemp("completed")
    for experiment, run_id in (("alice/study", "20260101-a"), ("bob", "20260102-b")):
        TrackedRun.start(folder / "runs", experiment, run_id=run_id).end()
    return folder


def words(mlx: Mlx, folder: Path, line: str) -> list[str]:
    """What bash is told for the last word of a line."""
    given = line.split(" ")
    result = mlx(
        folder=folder,
        _MLX_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(given) - 1),
    )
    assert (result.returncode, result.stderr) == (0, "")
    return [row.partition(",")[2] for row in result.stdout.splitlines() if row]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mlx ", list(VERBS)),
        ("mlx com", ["compile", "compare", "completion"]),
        ("mlx show ", ["alice/study", "bob"]),
        ("mlx show al", ["alice/study", "alice/study/20260101-a"]),
        ("mlx show 2026", ["20260101-a", "20260102-b"]),
        ("mlx compare bob alice/study/", ["alice/study/20260101-a"]),
        ("mlx show --root nowhere ", []),
        ("mlx list --stat", ["--status"]),
        ("mlx completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_words(mlx: Mlx, folder: Path, line: str, expected: list[str]) -> None:
    assert words(mlx, folder, line) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script(mlx: Mlx, shell: str, tmp_path: Path) -> None:
    result = mlx("completion", shell)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"_MLX_COMPLETE={shell}_complete" in result.stdout
    program = shutil.which(shell)
    if program is not None:  # bash is there on every machine that runs these tests
        (tmp_path / "script").write_text(result.stdout)
        flag = "--no-execute" if shell == "fish" else "-n"
        subprocess.run([program, flag, "script"], cwd=tmp_path, check=True)


def test_completing_imports_no_verb(folder: Path) -> None:
    program = (
        "import atexit, sys\n"
        "from specplan.cli.main import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "main()"
    )
    for line, unwanted in (
        ("mlx ", {"msgspec", "numpy", "specplan.cli.show"}),
        ("mlx show a", {"numpy", "pyarrow", "specplan.cli.run"}),
    ):
        asked = {
            "_MLX_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        }
        result = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **asked},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert unwanted & set(result.stderr.split()) == set()
