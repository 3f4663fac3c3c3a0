"""What `mlx doctor` finds, and what it says of what is wrong."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from specplan.cli.doctor import VARIABLES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own is found, whatever it has set."""
    for name in [*os.environ]:
        if name in VARIABLES or name.startswith(("SPECPLAN_", "PYTHONDONTWRITE")):
            monkeypatch.delenv(name)


def examined(mlx: Mlx, folder: Path, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and what was found by its name."""
    result = mlx("doctor", "--json", *options, folder=folder)
    found = json.loads(result.stdout)
    assert found["healthy"] is (result.returncode == 0)
    return result.returncode, {each["name"]: each for each in found["findings"]}


def test_nothing_is_wrong(mlx: Mlx, project: Path, tmp_path: Path) -> None:
    code, found = examined(mlx, project)
    assert (code, {each.get("problem") for each in found.values()}) == (0, {None})
    assert found["torch"]["value"] == importlib.metadata.version("torch")
    assert found["polars"]["topic"] == "packages"
    assert "hypothesis" not in found
    text = mlx("doctor", "--root", str(tmp_path / "none"), folder=project)
    assert text.returncode == 0
    assert "\nfolders\nruns " in text.stdout
    assert "none (0 runs, " in text.stdout
    assert "problem" not in text.stdout
    assert not (tmp_path / "none").exists()


def test_a_variable_that_nothing_reads(
    mlx: Mlx, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECPLAN_HOEM", "runs")
    monkeypatch.setenv("SPECPLAN_TOKEN", "a secret")
    result = mlx("doctor", folder=project)
    assert result.returncode == 1
    assert result.stdout.endswith(
        "problem: nothing reads the variable `SPECPLAN_HOEM`\nhint: did you mean `SPECPLAN_HOME`?\n"
    )
    assert "a secret" not in result.stdout


def test_packages_that_are_missing_or_old(
    mlx: Mlx, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name in ("polars", "rich"):
            raise importlib.metadata.PackageNotFoundError(name)
        versions = {"torch": "2.3.9+cpu", "click": "8.1rc1", "numpy": "1.26.0"}
        return versions.get(name, "999")

    monkeypatch.setattr(importlib.metadata, "version", version)
    code, found = examined(mlx, project)
    assert code == 1
    assert found["torch"]["problem"] == "`torch` is 2.3.9+cpu, and specplan needs 2.4 or later"
    assert found["click"]["problem"] == "`click` is 8.1rc1, and specplan needs 8.1 or later"
    assert "problem" not in found["numpy"]
    assert found["torch"]["hint"] == "pip install specplan --upgrade"
    assert found["rich"]["problem"] == "`rich` is not installed, and specplan needs it"
    # What only some commands need is no fault.
    assert "problem" not in found["polars"]
    assert found["polars"]["value"] == "not installed"
    assert found["polars"]["hint"] == "pip install 'specplan[polars]'"


def test_folders_that_cannot_be_used(
    mlx: Mlx, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "trust.json").write_text("[]")
    monkeypatch.setenv("SPECPLAN_CONFIG", str(tmp_path))
    code, found = examined(mlx, project, "--root", str(tmp_path / "file/runs"))
    assert code == 1
    assert found["runs"]["problem"] == f"`{tmp_path / 'file'}` is no folder"
    assert "does not hold what `mlx trust` writes" in found["settings"]["problem"]


def test_a_damaged_run(mlx: Mlx, finished: Path, project: Path) -> None:
    shutil.copytree(finished / "runs", project / "runs")
    code, found = examined(mlx, project)
    assert code == 0
    assert "(1 run (1 completed), " in found["runs"]["value"]
    [file] = (project / "runs").glob("*/*/run.json")
    file.write_text("{")
    code, found = examined(mlx, project)
    assert code == 1
    assert file.name in found["damaged run"]["problem"]
    assert "mlx repair RUN" in found["damaged run"]["hint"]
