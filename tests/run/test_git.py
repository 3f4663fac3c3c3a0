"""What is told of the repository around a spec, and what uncommitted changes do to a run."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from specplan.errors import DirtyGitError
from specplan.results.status import read_run_file
from specplan.run.environment import changes_of, environment
from specplan.run.git import DIFF_BYTES, Changes, git_state
from specplan.spec.model import DirtyGitAction
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled

FILTER = "filter.own.clean"

CUT = f"# cut here: more than {DIFF_BYTES} bytes differ, or git took more than 10 s\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one file, which differs from what is committed."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "spec.yaml").write_text("one", encoding="utf-8")
    git(tmp_path, "add", "spec.yaml")
    author = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    git(tmp_path, *author, "commit", "--quiet", "--message", "one")
    (tmp_path / "spec.yaml").write_text("two", encoding="utf-8")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


def changes(folder: Path, *without: Path) -> Changes | None:
    state = git_state(folder, without=without)
    assert state is not None
    return state.changes


def test_commit_and_changes(repository: Path) -> None:
    (repository / "runs/line").mkdir(parents=True)
    (repository / "runs/line/run.json").touch()
    (repository / "added.py").touch()
    git(repository, "add", "added.py")
    (repository / "added.py").write_text("x = 1\n", encoding="utf-8")
    state = git_state(repository)
    found = Changes(modified=("added.py", "spec.yaml"), staged=("added.py",), untracked=("runs/",))
    assert state is not None
    assert (state.commit, state.changes) == (git(repository, "rev-parse", "HEAD"), found)
    assert (
        str(found) == "2 modified (added.py, spec.yaml), 1 staged (added.py), 1 untracked (runs/)"
    )
    assert changes(repository, repository / "runs") == replace(found, untracked=())
    git(repository, "checkout", "--quiet", "-b", "trial")
    git(repository, "remote", "add", "origin", "https://me:hunter2@example.org/x.git")
    state = git_state(repository)
    assert state is not None
    assert environment(state, {})["git"] == {
        "commit": state.commit,
        "branch": "trial",
        "remotes": {"origin": "https://***@example.org/x.git"},
        "modified": ["added.py", "spec.yaml"],
        "staged": ["added.py"],
        "untracked": ["runs/"],
    }


def test_many_names_are_cut(repository: Path) -> None:
    for number in range(5):
        (repository / f"{number}.txt").touch()
    text = "1 modified (spec.yaml), 5 untracked (0.txt, 1.txt, 2.txt, and 2 more)"
    assert str(changes(repository)) == text


def test_a_folder_inside_sees_the_whole_repository(repository: Path) -> None:
    (repository / "sub").mkdir()
    assert changes(repository / "sub") == changes(repository)


def test_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "new.py").touch()
    found = Changes(modified=(), staged=(), untracked=("new.py",))
    state = git_state(tmp_path)
    assert state is not None
    assert (state.commit, state.changes, changes_of(state)) == (None, found, None)


def test_outside_a_repository_nothing_is_known(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert environment(None, {})["git"] is None
    assert changes_of(None) is None


def test_without_git_nothing_is_known(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert git_state(repository) is None


def test_the_patch_of_what_changed_is_kept(repository: Path) -> None:
    (repository / "spec.yaml").write_text("api_key: abcdef\nrate: 2\n", encoding="utf-8")
    (repository / "untracked.txt").write_text("not in it", encoding="utf-8")
    folder = specs.run(plan_in(repository, DirtyGitAction.IGNORE), repository / "runs").folder
    lines = folder.changes_file.read_text().splitlines()
    assert lines[0] == "diff --git a/spec.yaml b/spec.yaml"
    assert lines[-2:] == ["+api_key: ***", "+rate: 2"]
    assert folder.changes_file.name in read_run_file(folder).digests


def test_a_patch_ends_where_it_is_too_long(repository: Path) -> None:
    text = "line\n" * (DIFF_BYTES // 4)
    (repository / "spec.yaml").write_text(text, encoding="utf-8")
    kept = changes_of(git_state(repository))
    assert kept is not None
    assert DIFF_BYTES - 10 < len(kept) < DIFF_BYTES + 100
    assert kept.endswith(f"+line\n{CUT}")


def test_a_patch_ends_where_git_takes_too_long(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "spec.yaml").write_text("changed", encoding="utf-8")
    slow = tmp_path / "bin/git"
    slow.parent.mkdir()
    slow.write_text(
        f'#!/bin/sh\ncase " $* " in *" diff "*) exec sleep 600;; esac\nexec {shutil.which("git")} "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(slow.parent), prepend=":")
    monkeypatch.setattr("specplan.run.git.DIFF_SECONDS", 0.1)
    assert changes_of(git_state(repository)) == CUT


def test_a_program_whose_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert git_state(gone) is None
    assert environment(None, {})["process"]["folder"] is None


def test_a_clean_repository_has_no_patch(repository: Path) -> None:
    (repository / "spec.yaml").write_text("one", encoding="utf-8")
    folder = specs.run(plan_in(repository, DirtyGitAction.ERROR), repository / "runs").folder
    assert not folder.changes_file.exists()


@pytest.mark.parametrize(
    "key", ["core.fsmonitor", "diff.external", "diff.own.command", "diff.own.textconv", FILTER]
)
def test_a_repository_runs_no_program_of_its_own(repository: Path, key: str) -> None:
    program = repository / ".git/program.sh"
    program.write_text('#!/bin/sh\ntouch "$(dirname "$0")/ran"\ncat\n', encoding="utf-8")
    program.chmod(0o700)
    (repository / ".git/info/attributes").write_text(
        "*.yaml filter=own diff=own\n", encoding="utf-8"
    )
    git(repository, "config", key, str(program))
    state = git_state(repository)
    assert state is not None
    assert (changes_of(state) is None) == (key == FILTER)
    assert (state.changes is None) == (key == FILTER)
    assert not (repository / ".git/ran").exists()


def test_a_repository_runs_no_hook(repository: Path) -> None:
    hook = repository / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {repository}/ran\n", encoding="utf-8")
    hook.chmod(0o700)
    (repository / "spec.yaml").write_text("one", encoding="utf-8")
    assert git_state(repository)
    assert not (repository / "ran").exists()


def plan_in(folder: Path, action: DirtyGitAction) -> Compiled:
    plan = specs.compiled(specs.evaluation())
    surroundings = replace(plan.plan.code, dirty_git=action)
    return replace(plan, folder=folder, plan=replace(plan.plan, code=surroundings))


def test_an_error_leaves_no_folder_behind(repository: Path) -> None:
    with pytest.raises(DirtyGitError) as refusal:
        specs.run(plan_in(repository, DirtyGitAction.ERROR), repository / "runs")
    assert str(refusal.value) == (
        "the git repository has uncommitted changes: 1 modified (spec.yaml)\n"
        "hint: commit them, or say `dirty_git: warn`"
    )
    assert not (repository / "runs").exists()


def test_runs_do_not_make_the_repository_dirty(repository: Path) -> None:
    (repository / "spec.yaml").write_text("one", encoding="utf-8")
    for _ in range(2):
        specs.run(plan_in(repository, DirtyGitAction.ERROR), repository / "runs")


@pytest.mark.parametrize(
    ("action", "messages"),
    [
        (
            DirtyGitAction.WARN,
            ["the git repository has uncommitted changes: 1 modified (spec.yaml)"],
        ),
        (DirtyGitAction.IGNORE, []),
    ],
)
def test_a_warning_and_silence(
    repository: Path,
    action: DirtyGitAction,
    messages: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        outcome = specs.run(plan_in(repository, action), repository / "runs")
    assert caplog.messages == messages
    environment_file: dict[str, Any] = json.loads(outcome.folder.environment_file.read_bytes())
    assert environment_file["git"]["modified"] == ["spec.yaml"]


def test_what_git_may_not_read_is_not_clean(repository: Path) -> None:
    git(repository, "config", "filter.own.clean", "true")
    with pytest.raises(DirtyGitError, match="^whether the git repository has uncommitted changes"):
        specs.run(plan_in(repository, DirtyGitAction.ERROR), repository / "runs")
