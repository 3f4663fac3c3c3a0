"""Where runs go, and where they are looked for."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = "runs"


def runs_root(
    root: str | Path | None = None, *, folder: Path | None = None, results: str | None = None
) -> Path:
    """The folder of all runs: `root`, else $SPECPLAN_HOME, else the plan's, else ./runs.

    Args:
        root: what the caller asked for.
        folder: the plan's folder, from which `results` starts.
        results: `results.dir` of the plan.
    """
    if root is not None:
        return Path(root)
    if home := os.environ.get("SPECPLAN_HOME"):
        return Path(home)
    if results is not None:
        return (folder or Path()) / results
    return Path(DEFAULT)
