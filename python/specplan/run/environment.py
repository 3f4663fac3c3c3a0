"""What a run ran with: versions, packages, host, variables, command and state of the repository."""

from __future__ import annotations

import os
import platform
import sys
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.base.redaction import redacted, redacted_lines, redacted_text, redacted_words
from specplan.run.git import DIFF_BYTES, DIFF_SECONDS, diff, remotes
from specplan.run.hardware import host, threads, torch_build
from specplan.run.packages import origins, packages
from specplan.store.run_files import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from specplan.run.git import GitState

_PACKAGES = ("specplan", "numpy", "torch", "pyarrow", "scikit-learn", "msgspec")
DECIDING_VARIABLES = (
    *("OMP_*", "KMP_*", "GOMP_*", "MKL_*", "OPENBLAS_*", "NUMEXPR_*", "BLIS_*", "VECLIB_*"),
    *("ATEN_*", "CUBLAS_*", "CUDNN_*", "NVIDIA_TF32_OVERRIDE", "PYTHONHASHSEED"),
)
"""The variables of the environment that may decide results."""
SET_BY_IMPORTS = frozenset({"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"})
"""Those among them that importing scikit-learn sets where nobody did; they say how OpenMP starts, and decide nothing."""
VARIABLES = (
    *DECIDING_VARIABLES,
    *("CUDA_*", "NVIDIA_*", "NCCL_*", "ROCR_*", "HIP_*", "TORCH_*", "PYTORCH_*"),
    *("PYTHONOPTIMIZE", "SPECPLAN_*", "SLURM_*", "LANG", "LC_*", "TZ"),
)
"""The variables of the environment that are recorded: those, and what tells of place and speed."""
MORE_VARIABLES = "SPECPLAN_VARIABLES"
"""Names more of them, divided by commas; `*` stands for anything."""
_MOST_FILES = 1000


def versions() -> dict[str, str]:
    """Python and the packages that decide results, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment(git: GitState | None, found_versions: Mapping[str, str]) -> dict[str, Any]:
    """Facts about this process, its machine and the repository around the plan, without secrets."""
    return {
        "versions": dict(found_versions),
        "host": host(),
        "git": None if git is None else _described(git),
        "process": {
            "command": redacted_words(sys.orig_argv),
            "folder": _folder(),
            "python": sys.implementation.name,
            "threads": threads(),
        },
        "torch": torch_build(),
        "variables": variables(),
        "packages": packages(),
        "origins": origins(),
    }


def surroundings_of(git: GitState | None) -> Surroundings:
    """Where a run begins now, in this process, with a repository around it or none."""
    found = versions()
    return Surroundings(
        environment=environment(git, found), versions=found, changes=changes_of(git)
    )


def variables() -> dict[str, str]:
    """The variables of the environment that are recorded, without secrets."""
    more = [name.strip() for name in os.environ.get(MORE_VARIABLES, "").split(",")]
    patterns = [*VARIABLES, *filter(None, more)]
    found: dict[str, str] = redacted(chosen(os.environ, patterns))
    return found


def chosen(named: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    """The variables whose names match one of some patterns, by name."""
    patterns = tuple(patterns)
    return {
        name: value
        for name, value in sorted(named.items())
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def changes_of(git: GitState | None) -> str | None:
    """What differs from the commit, as a patch without secrets; None where nothing does, or is known."""
    found = None if git is None else diff(git)
    if found is None:
        return None
    limit = f"more than {DIFF_BYTES} bytes differ, or git took more than {DIFF_SECONDS:g} s"
    note = "" if found.is_whole else f"# cut here: {limit}\n"
    return redacted_lines(found.text) + note


def _folder() -> str | None:
    """Where this process is; None where that folder was removed."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None


def _described(git: GitState) -> dict[str, Any]:
    """The commit, and which files differ from it; null where that is not known."""
    changes = git.changes
    return {
        "commit": git.commit,
        "branch": git.branch,
        "remotes": {name: redacted_text(url) for name, url in remotes(git).items()},
        "modified": None if changes is None else _some(changes.modified),
        "staged": None if changes is None else _some(changes.staged),
        "untracked": None if changes is None else _some(changes.untracked),
    }


def _some(names: tuple[str, ...]) -> list[str]:
    more = len(names) - _MOST_FILES
    return [*names[:_MOST_FILES], *([f"and {more} more"] if more > 0 else [])]
