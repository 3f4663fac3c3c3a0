"""What a run ran with: versions, host, state of the repository. No paths, no variables."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PACKAGES = ("specplan", "numpy", "torch", "pyarrow", "scikit-learn", "msgspec")


def versions() -> dict[str, str]:
    """Python and the packages that decide results, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment(folder: Path, found_versions: Mapping[str, str]) -> dict[str, object]:
    """Facts about this process. `folder` is where the plan lies; its repository is looked at."""
    return {
        "versions": dict(found_versions),
        "host": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        },
        "git": _git(folder),
    }


def _git(folder: Path) -> dict[str, object] | None:
    """Commit and how many files differ from it; None outside a repository or without git."""
    git = shutil.which("git")
    if git is None:
        return None
    commit = _output(git, folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "changed_files": _changed_files(git, folder)}


def _changed_files(git: str, folder: Path) -> int | None:
    """None where the repository names programs of its own through which its files are read.

    A repository that comes with a stranger's spec must not run anything, and git runs what the
    configuration of a repository says: filters, the file monitor, hooks and helpers of transports.
    """
    filters = _output(
        git, folder, "config", "--show-scope", "--get-regexp", r"^(filter|lfs\.extension)\."
    )
    if filters and any(line.startswith(("local", "worktree")) for line in filters.splitlines()):
        return None
    arguments = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
    changes = _output(git, folder, "-c", "core.fsmonitor=false", *arguments)
    return None if changes is None else len(changes.splitlines())


def _output(git: str, folder: Path, *arguments: str) -> str | None:
    result = subprocess.run(
        [git, "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        # Without optional locks git leaves the index alone, and so the hook that follows a change of it;
        # without protocols it fetches no object that a partial clone lacks.
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none"},
    )
    return result.stdout.strip() if result.returncode == 0 else None
