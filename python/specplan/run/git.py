"""The repository around a spec: its commit, and what differs from it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from specplan.errors import DirtyGitError
from specplan.spec.model import DirtyGitAction

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_NAMES = 3
_LOG = logging.getLogger(__name__)


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Files that differ from the commit, relative to the top of the repository.

    A file that was staged and changed again is in both lists. A folder of which git knows no file
    is one untracked name.
    """

    modified: tuple[str, ...]
    staged: tuple[str, ...]
    untracked: tuple[str, ...]

    def __str__(self) -> str:
        kinds = {"modified": self.modified, "staged": self.staged, "untracked": self.untracked}
        return ", ".join(
            f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names
        )


NO_CHANGES = Changes(modified=(), staged=(), untracked=())


class GitState(msgspec.Struct, frozen=True, kw_only=True):
    """A repository as it is now.

    Attributes:
        commit: None before the first one.
        changes: None where they cannot be told without running programs that the repository names.
    """

    commit: str | None
    changes: Changes | None


def check_clean(state: GitState | None, action: DirtyGitAction) -> None:
    """Do what `action` says where a repository has uncommitted changes.

    Raises:
        DirtyGitError: there are some, or they cannot be told, and `action` is `error`.
    """
    if action is DirtyGitAction.IGNORE or state is None or state.changes == NO_CHANGES:
        return
    message = f"the git repository has uncommitted changes: {state.changes}"
    if state.changes is None:
        message = (
            "whether the git repository has uncommitted changes is not known: it names programs of "
            "its own through which git would read its files"
        )
    if action is DirtyGitAction.ERROR:
        raise DirtyGitError(f"{message}\nhint: commit them, or say `dirty_git: warn`")
    _LOG.warning("%s", message)


def git_state(folder: Path, *, without: Iterable[Path] = ()) -> GitState | None:
    """The state of the repository that `folder` lies in; None outside of one, or without git.

    What lies below the folders `without` does not count as a change.
    """
    git = shutil.which("git")
    if git is None:
        return None
    found = _output(git, folder, "rev-parse", "--show-toplevel")
    if not found:
        return None
    top = Path(found)
    commit = _output(git, top, "rev-parse", "--verify", "--quiet", "HEAD")
    return GitState(commit=commit, changes=_changes(git, top, without))


def _changes(git: str, top: Path, without: Iterable[Path]) -> Changes | None:
    """None where the repository names programs of its own through which its files are read.

    A repository that comes with a stranger's spec must not run anything, and git runs what the
    configuration of a repository says: filters, the file monitor, hooks and helpers of transports.
    """
    filters = _output(
        git, top, "config", "--show-scope", "--get-regexp", r"^(filter|lfs\.extension)\."
    )
    if filters and any(line.startswith(("local", "worktree")) for line in filters.splitlines()):
        return None
    excluded = [
        f":(exclude,literal){path.resolve().relative_to(top)}"
        for path in without
        if top in path.resolve().parents
    ]
    status = _output(
        git,
        top,
        *("-c", "core.fsmonitor=false", "status", "--porcelain=v1", "-z", "--no-renames"),
        *("--untracked-files=normal", "--ignore-submodules=all", "--", ".", *excluded),
    )
    if status is None:
        return None
    lines = [(line[:2], line[3:]) for line in status.split("\0") if line]
    return Changes(
        modified=tuple(name for marks, name in lines if marks[1] not in " ?"),
        staged=tuple(name for marks, name in lines if marks[0] not in " ?"),
        untracked=tuple(name for marks, name in lines if marks == "??"),
    )


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f", and {more} more" if more > 0 else "")


def _output(git: str, folder: Path, *arguments: str) -> str | None:
    result = subprocess.run(
        [git, "-C", str(folder), *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        # Without optional locks git leaves the index alone, and so the hook that follows a change of it;
        # without protocols it fetches no object that a partial clone lacks.
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none"},
    )
    return result.stdout.rstrip("\n") if result.returncode == 0 else None
