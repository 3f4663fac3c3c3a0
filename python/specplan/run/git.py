"""The repository around a spec: its commit, and what differs from it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from specplan.errors import DirtyGitError
from specplan.spec.model import DirtyGitAction

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_NAMES = 3
DIFF_BYTES = 1 << 20
"""How much of a diff is kept."""
DIFF_SECONDS = 10.0
"""How long git may take for it: a run begins after that."""
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
        branch: None where a commit is checked out without one.
        top: the topmost folder.
        left_out: what does not count as a change, in the words of git.
    """

    commit: str | None
    changes: Changes | None
    branch: str | None
    top: Path
    left_out: tuple[str, ...]


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """How tracked files differ from the commit.

    Attributes:
        is_whole: whether nothing is left out because it was too much, or took too long.
    """

    text: str
    is_whole: bool


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
    left_out = tuple(
        f":(exclude,literal){path.resolve().relative_to(top)}"
        for path in without
        if top in path.resolve().parents
    )
    return GitState(
        commit=_output(git, top, "rev-parse", "--verify", "--quiet", "HEAD"),
        changes=_changes(git, top, left_out),
        branch=_output(git, top, "symbolic-ref", "--quiet", "--short", "HEAD"),
        top=top,
        left_out=left_out,
    )


def commit_of(folder: Path) -> str | None:
    """The commit of the repository that `folder` lies in; None outside of one, or without git."""
    git = shutil.which("git")
    return git and _output(git, folder, "rev-parse", "--verify", "--quiet", "HEAD")


def remotes(state: GitState) -> dict[str, str]:
    """The address of each remote of a repository, by its name."""
    said = _output(_git(), state.top, "config", "--get-regexp", r"^remote\..*\.url$") or ""
    found = (line.split(" ", 1) for line in said.splitlines())
    return {key.removeprefix("remote.").removesuffix(".url"): url for key, url in found}


def diff(state: GitState) -> Diff | None:
    """What has changed since the commit, at most `DIFF_BYTES` in whole lines, and what git finds in
    `DIFF_SECONDS`; None where nothing is known.

    Files that git does not know have no part in it.
    """
    if state.commit is None or state.changes in (None, NO_CHANGES):
        return None
    with subprocess.Popen(
        [
            *(_git(), "-C", str(state.top), "-c", "core.fsmonitor=false", "diff", "HEAD"),
            *("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"),
            *("--ignore-submodules=all", "--", ".", *state.left_out),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as process:
        assert process.stdout is not None
        late = threading.Timer(DIFF_SECONDS, process.kill)
        late.start()
        found = process.stdout.read(DIFF_BYTES + 1)
        if len(found) > DIFF_BYTES:
            process.kill()
        is_whole = process.wait() == 0
        late.cancel()
        if not is_whole:
            found = found[: found.rfind(b"\n", 0, DIFF_BYTES) + 1]
    if is_whole and not found:
        return None
    return Diff(text=found.decode(errors="replace"), is_whole=is_whole)


def _git() -> str:
    return shutil.which("git") or "git"


def _changes(git: str, top: Path, left_out: tuple[str, ...]) -> Changes | None:
    """None where the repository names programs of its own through which its files are read.

    A repository that comes with a stranger's spec must not run anything, and git runs what the
    configuration of a repository says: filters, the file monitor, hooks and helpers of transports.
    """
    filters = _output(
        git, top, "config", "--show-scope", "--get-regexp", r"^(filter|lfs\.extension)\."
    )
    if filters and any(line.startswith(("local", "worktree")) for line in filters.splitlines()):
        return None
    status = _output(
        git,
        top,
        *("-c", "core.fsmonitor=false", "status", "--porcelain=v1", "-z", "--no-renames"),
        *("--untracked-files=normal", "--ignore-submodules=all", "--", ".", *left_out),
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
        env=_environment(),
    )
    return result.stdout.rstrip("\n") if result.returncode == 0 else None


def _environment() -> dict[str, str]:
    # Without optional locks git leaves the index alone, and so the hook that follows a change of it;
    # without protocols it fetches no object that a partial clone lacks.
    return {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none"}
