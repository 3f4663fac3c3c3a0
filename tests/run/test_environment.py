from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from specplan.run.environment import environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one file, which differs from what is committed."""
    _git(tmp_path, "init", "--quiet")
    (tmp_path / "spec.yaml").write_text("one", encoding="utf-8")
    _git(tmp_path, "add", "spec.yaml")
    author = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    _git(tmp_path, *author, "commit", "--quiet", "--message", "one")
    (tmp_path / "spec.yaml").write_text("two", encoding="utf-8")
    return tmp_path


def test_commit_and_changed_files(repository: Path) -> None:
    commit = _git(repository, "rev-parse", "HEAD")
    assert environment(repository, {})["git"] == {"commit": commit, "changed_files": 1}


def test_outside_a_repository_nothing_is_known(tmp_path: Path) -> None:
    assert environment(tmp_path, {})["git"] is None


@pytest.mark.parametrize("key", ["core.fsmonitor", "filter.own.clean"])
def test_a_repository_runs_no_program_of_its_own(repository: Path, key: str) -> None:
    program = repository / "program.sh"
    program.write_text('#!/bin/sh\ntouch "$(dirname "$0")/ran"\ncat\n', encoding="utf-8")
    program.chmod(0o700)
    (repository / ".git/info/attributes").write_text("*.yaml filter=own\n", encoding="utf-8")
    _git(repository, "config", key, str(program))
    found = environment(repository, {})["git"]
    assert not (repository / "ran").exists()
    assert found == {
        "commit": _git(repository, "rev-parse", "HEAD"),
        "changed_files": 1 if key == "core.fsmonitor" else None,
    }


def test_a_repository_runs_no_hook(repository: Path) -> None:
    hook = repository / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {repository}/ran\n", encoding="utf-8")
    hook.chmod(0o700)
    (repository / "spec.yaml").write_text("one", encoding="utf-8")
    assert environment(repository, {})["git"]
    assert not (repository / "ran").exists()


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return result.stdout.strip()
