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
    """Commit and whether files differ from it; None outside a repository or without git."""
    git = shutil.which("git")
    if git is None:
        return None
    commit = _output(git, folder, "rev-parse", "HEAD")
    changes = _output(git, folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "changed_files": len(changes.splitlines())}


def _output(git: str, folder: Path, *arguments: str) -> str | None:
    result = subprocess.run(
        [git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() if result.returncode == 0 else None
