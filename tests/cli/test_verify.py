"""`mlx verify` and `mlx repair`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

CHUNK = "records/test.MLP.default.outputs/chunk-000000.arrow"
DAMAGED = f"""\
environment.json: it does not match its checksum
{CHUNK}:4096: a batch does not match its checksum
14 batches, 33 metric rows, 29 files: 2 damages
"""
REPAIRED = f"""\
left out  environment.json: the file is damaged
left out  batch 0 of epoch 0 of `test.MLP.default.outputs`: `{CHUNK}` is damaged at byte 4096: \
a batch does not match its checksum
14 batches, 33 metric rows, 4 other files saved in copy; 2 left out
"""


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A folder with a run that may be changed."""
    shutil.copytree(finished / "runs", tmp_path / "runs")
    return tmp_path


def break_run(folder: Path) -> None:
    (run,) = (folder / "runs/line").iterdir()
    chunk = bytearray((run / CHUNK).read_bytes())
    chunk[4096 + 3] ^= 1
    (run / CHUNK).write_bytes(chunk)
    environment = run / "environment.json"
    environment.write_bytes(environment.read_bytes()[:-3])


def test_a_whole_run(mlx: Mlx, folder: Path) -> None:
    result = mlx("verify", "line", folder=folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "15 batches, 33 metric rows, 29 files: no damage\n"


def test_a_damaged_run(mlx: Mlx, folder: Path) -> None:
    break_run(folder)
    result = mlx("verify", "line", folder=folder)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout == DAMAGED
    result = mlx("verify", "line", "--json", folder=folder)
    assert result.returncode == 1
    assert json.loads(result.stdout)["damages"][1] == {
        "path": CHUNK,
        "offset": 4096,
        "what": "a batch does not match its checksum",
    }


def test_repair(mlx: Mlx, folder: Path) -> None:
    break_run(folder)
    result = mlx("repair", "line", "--to", "copy", folder=folder)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", REPAIRED)
    assert mlx("verify", "copy", folder=folder).returncode == 0
    again = mlx("repair", "line", "--to", "copy", folder=folder)
    assert again.returncode == 1
    assert again.stderr == "error: `copy` exists already; a repaired copy needs a new folder\n"


def test_repair_as_json(mlx: Mlx, folder: Path) -> None:
    result = mlx("repair", "line", "--to", "copy", "--json", folder=folder)
    repair = json.loads(result.stdout)
    assert (repair["batches"], repair["left_out"], repair["damages"]) == (15, [], [])


def test_a_run_without_its_run_file(mlx: Mlx, folder: Path) -> None:
    (run,) = (folder / "runs/line").iterdir()
    (run / "run.json").unlink()
    result = mlx("verify", str(run), folder=folder)
    assert result.stdout.splitlines()[0] == "run.json: the file is missing"
    assert mlx("repair", str(run), "--to", "copy", folder=folder).returncode == 0


def test_verify_loads_no_library_that_it_does_not_need(folder: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "specplan.cli.main", "verify", "line"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "specplan.results.verify" in imported
    assert not imported & {"torch", "pandas", "polars", "pyarrow"}
