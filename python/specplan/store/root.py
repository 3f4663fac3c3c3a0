"""Where runs go, and where they are looked for."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = "runs"


def runs_root(
    root: str | Path | None = None, *, folder: Path | None = None, dir: str | None = None
) -> Path:
    """The folder of all runs: `root`, else $SPECPLAN_HOME, else the plan's, else ./runs.

    Args:
        root: what the caller asked for.
        folder: the plan's folder, from which `dir` starts.
        dir: `results.dir` of the plan.
    """
    if root is not None:
        return Path(root)
    if home := os.environ.get("SPECPLAN_HOME"):
        return Path(home)
    if dir is not None:
        return (folder or Path()) / dir
    return Path(DEFAULT)
