"""What a run ran with: versions, host, state of the repository. No paths, no variables."""

from __future__ import annotations

import os
import platform
import socket
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.run.git import GitState

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


def environment(git: GitState | None, found_versions: Mapping[str, str]) -> dict[str, object]:
    """Facts about this process and the repository around the plan."""
    return {
        "versions": dict(found_versions),
        "host": {
            "name": socket.gethostname(),
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        },
        "git": None if git is None else _described(git),
    }


def _described(git: GitState) -> dict[str, object]:
    """The commit, and how many files differ from it; null where that is not known."""
    changes = git.changes
    return {
        "commit": git.commit,
        "modified": None if changes is None else len(changes.modified),
        "staged": None if changes is None else len(changes.staged),
        "untracked": None if changes is None else len(changes.untracked),
    }
