"""`mlx env`: what a run ran with, then and now."""

from __future__ import annotations

import json
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from specplan.cli.main import group
from specplan.experiments import experiment
from specplan.results.compare import environment_of
from specplan.results.open import open_run
from specplan.store.checked_json import encode_checked

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with experiment(tmp_path, "x", dirty_git="ignore"):
        pass
    return tmp_path


def mlx(root: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(group, ["env", "x", "--root", str(root), *words])
    assert not isinstance(done.exception, Exception), done.exception
    return done.exit_code, done.stdout


def test_it_is_printed(root: Path) -> None:
    code, text = mlx(root)
    found = environment_of(open_run("x", root=root))
    assert code == 0
    assert text.startswith(f"versions\npython        {found['versions']['python']}\n")
    assert f"\ncpu           {found['host']['cpu']}\n" in text
    code, text = mlx(root, "--json")
    assert (code, json.loads(text)) == (0, found)


def test_the_same_environment(root: Path) -> None:
    assert mlx(root, "--verify") == (0, "this environment is the one that the run had\n")
    code, text = mlx(root, "--verify", "--json")
    told = json.loads(text)
    assert (code, told["same"], told["version_changes"]) == (0, True, {})


def test_another_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run("x", root=root)
    environment = environment_of(run)
    version = environment["packages"]["click"]
    environment["packages"] |= {"click": "1.0", "gone": "2.0"}
    del environment["packages"]["msgspec"]
    del environment["versions"]["msgspec"]
    run.folder.environment_file.write_bytes(encode_checked(environment))
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    code, text = mlx(root, "--verify")
    assert code == 1
    first, second, third, last = text.splitlines()
    assert first == f"click: 1.0 then, {version} now"
    assert second == "gone: 2.0 then, missing now"
    assert third == f"msgspec: {version_of('msgspec')} now, not there then"
    assert last == "OMP_NUM_THREADS: 1 then, 77 now"
    code, text = mlx(root, "--verify", "--json")
    told = json.loads(text)
    assert (code, told["same"], told["missing"]) == (1, False, {"gone": "2.0"})
    assert told["version_changes"] == {"click": {"then": "1.0", "now": version}}


def test_of_a_run_of_a_plan(mlx: Mlx, finished: Path) -> None:
    done = mlx("env", "line", "--verify", folder=finished)
    assert (done.returncode, done.stderr) == (0, "")
