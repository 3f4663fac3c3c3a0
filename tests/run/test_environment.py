"""What runs tell of what they ran with, and that it has no secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

import specplan
from specplan import Experiment, ExperimentManager, LocalExperimentTracker
from specplan.run.environment import environment, variables, versions
from specplan.run.hardware import host
from specplan.run.packages import normalised, origins, packages
from specplan.run.surroundings import Changed, environment_changes
from specplan.store.checked_json import matches_checksum
from specplan.store.layout import RunFolder
from specplan.store.tags import change_tags
from tests.run import specs

CANARY = "canary7x"
PROGRAM = """
import sys
from specplan import experiment

with experiment(sys.argv[1], "leaky", dirty_git="ignore") as xp:
    xp.set_params({"api_key": "canary7x-param", "nested": {"db": "postgres://u:canary7x-url@h/db"}})
    xp.log_metrics({"loss": 1.0})
    token = "canary7x-source"
    raise ValueError("login with password=canary7x-error failed at https://u:canary7x-at@host")
"""


def test_the_origin_of_a_package_in_a_folder_with_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my package").mkdir()
    about = tmp_path / "site/mine-1.0.dist-info"
    about.mkdir(parents=True)
    url = (tmp_path / "my package").as_uri()
    (about / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": True}}))
    monkeypatch.syspath_prepend(tmp_path / "site")
    origins.cache_clear()
    found = origins()["mine"]
    origins.cache_clear()
    assert found == {"folder": "my package", "editable": True, "commit": None}


@pytest.mark.parametrize("content", ["{", "[]", '{"url": 3}', "\\xff", None])
def test_what_an_installer_left_damaged_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    file = tmp_path / "site/mine-1.0.dist-info/direct_url.json"
    file.parent.mkdir(parents=True)
    if content is None:
        file.symlink_to(file.name)  # what cannot even be opened
    else:
        file.write_text(content, "latin-1")
    monkeypatch.syspath_prepend(tmp_path / "site")
    origins.cache_clear()
    found = origins()
    origins.cache_clear()
    assert list(found.get("mine", {"unreadable": ""})) == ["unreadable"]
    assert "specplan" in found


def test_packages_are_those_that_are_installed() -> None:
    found = packages()
    assert found == {
        normalised(each.name): each.version
        for each in reversed([*distributions()])
        if normalised(each.name) in found
    }
    assert found["numpy"] == versions()["numpy"]
    assert len(found) > 20


def test_a_run_of_a_plan_tells_what_it_ran_with(tmp_path: Path) -> None:
    outcome = specs.run(specs.compiled(specs.evaluation()), tmp_path)
    content = outcome.folder.environment_file.read_bytes()
    assert matches_checksum(content)
    found = json.loads(content)
    assert found["packages"] == packages()
    assert found["host"] == host()
    assert found["process"]["folder"] == str(Path.cwd())
    assert found["process"]["threads"]["torch"] >= 1
    assert found["torch"]["version"].startswith(versions()["torch"])
    assert found["origins"]["specplan"]["editable"]


def test_listed_variables_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("MY_SITE", "north")
    monkeypatch.setenv("MY_TOKEN", "abc")
    assert variables()["OMP_NUM_THREADS"] == "3"
    assert "MY_SITE" not in variables()
    monkeypatch.setenv("SPECPLAN_VARIABLES", "MY_*, OTHER")
    assert (variables()["MY_SITE"], variables()["MY_TOKEN"]) == ("north", "***")


def test_no_file_of_a_run_has_a_secret(tmp_path: Path) -> None:
    project, work = tmp_path / "project", tmp_path / "work"
    project.mkdir()
    git = ["git", "-C", str(project), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    (project / "program.py").write_text("", encoding="utf-8")
    for words in (
        ["init", "--quiet"],
        ["remote", "add", "origin", f"https://u:{CANARY}-remote@example.org/x.git"],
        ["add", "."],
        ["commit", "--quiet", "-m", "one"],
    ):
        subprocess.run([*git, *words], check=True)
    (project / "program.py").write_text(PROGRAM, encoding="utf-8")
    secrets = {"MY_TOKEN": f"{CANARY}-variable", "SPECPLAN_URL": f"https://u:{CANARY}-env@host"}
    done = subprocess.run(
        [
            sys.executable,
            "program.py",
            str(work),
            "--token",
            f"{CANARY}-argument",
            f"--pwd={CANARY}-pwd",
        ],
        cwd=project,
        env={"PATH": os.defpath, "SPECPLAN_VARIABLES": "MY_*", **secrets},
        check=False,
        capture_output=True,
        text=True,
    )
    assert "ValueError: login" in done.stderr
    run = specplan.open("leaky", root=work)
    assert run.folder.changes_file.is_file()
    assert run.folder.error_log.is_file()
    files = [path for path in work.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
    found = json.loads(run.folder.environment_file.read_bytes())
    assert found["process"]["command"][-3:] == ["--token", "***", "--pwd=***"]
    assert found["variables"]["MY_TOKEN"] == "***"


def test_no_door_lets_a_secret_through(tmp_path: Path) -> None:
    manager = ExperimentManager(log_dir=str(tmp_path / "manager"))
    address = f"https://u:{CANARY}@h"
    manager.start_experiment("a", {"api_key": CANARY, "lr": 0.1}, {"note": address})
    manager.close()
    assert manager.read_history("a")[0]["hyperparameters"] == {"api_key": "***", "lr": 0.1}
    tracker = LocalExperimentTracker(str(tmp_path / "local"))
    tracker.start_run("r")
    tracker.log_params({"auth": {"token": CANARY}})
    tracker.end_run()
    experiment = Experiment(
        prefix="me/p/x",
        dash_root=str(tmp_path / "dash"),
        metadata={"client_secret": CANARY},
        readme=f"see {address}",
    )
    with experiment.run as exp:
        exp.params.set(db_password=CANARY)
        exp.log(f"at {address}", token=CANARY)
        exp.metrics("train").log(loss=0.5, password=CANARY, password_score=7)
        exp.tracks("robot").append(_ts=1.0, api_key=CANARY, note=address)
        assert exp.metrics("train").read()["data"][0]["data"]["password_score"] == 7
        folder = RunFolder(exp.run_folder)
        assert exp.params.get()["db_password"] == CANARY
    assert change_tags(folder, {"token": CANARY, "at": address}, []) == {
        "at": "https://***@h",
        "token": "***",
    }
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


def of(host_: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {"host": host_, "versions": {"python": "3.11.1"}, **sections}


def test_changes_of_an_environment() -> None:
    then = of(
        {"cpu": "A", "name": "a"}, packages={"x": "1", "y": "1"}, variables={"OMP_NUM_THREADS": "1"}
    )
    now = of({"cpu": "B", "name": "b"}, packages={"x": "2", "z": "1"}, variables={})
    changes = environment_changes(then, now)
    assert changes.version_changes == {"x": Changed("1", "2")}
    assert (changes.missing, changes.extra) == ({"y": "1"}, {"z": "1"})
    assert changes.other == {"cpu": Changed("A", "B"), "OMP_NUM_THREADS": Changed("1", None)}
    assert not environment_changes(then, then)


def test_what_an_import_of_scikit_learn_sets_is_no_change() -> None:
    then = of({"name": "a"}, packages={}, variables={"KMP_INIT_AT_FORK": "FALSE"})
    assert not environment_changes(then, of({"name": "a"}, packages={}, variables={}))
    other = of({"name": "a"}, packages={}, variables={"KMP_AFFINITY": "compact"})
    assert [*environment_changes(then, other).other] == ["KMP_AFFINITY"]


def test_of_an_old_run_only_what_it_told_is_compared() -> None:
    old = {"versions": {"python": "3.11.1", "torch": "2.0"}, "host": {"name": "a", "machine": "x"}}
    changes = environment_changes(old, environment(None, {"python": "3.11.1"}))
    assert [*changes.version_changes] == ["torch"]
    assert (changes.missing, changes.extra) == ({}, {})
    assert [*changes.other] == ["machine"]
