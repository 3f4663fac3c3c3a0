"""Where runs go, and where they are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from specplan.errors import RunError

DEFAULT = "runs"


def runs_root(
    root: str | Path | None = None, *, folder: Path | None = None, results: str | None = None
) -> Path:
    """The folder of all runs: `root`, else $SPECPLAN_HOME, else the plan's, else ./runs.

    Args:
        root: what the caller asked for.
        folder: the plan's folder, from which `results` starts.
        results: `results.dir` of the plan.

    Raises:
        RunError: `results` leaves the plan's folder, which only the caller may decide.
    """
    if root is not None:
        return Path(root)
    if (found := home_of_environment()) is not None:
        return found
    if results is not None:
        return _below(folder or Path(), results)
    return Path(DEFAULT)


def home_of_environment() -> Path | None:
    """The folder that $SPECPLAN_HOME names; None where it names none."""
    named = os.environ.get("SPECPLAN_HOME")
    return Path(named) if named else None


def _below(folder: Path, results: str) -> Path:
    place = folder / results
    if not place.resolve().is_relative_to(folder.resolve()):
        raise RunError(
            f"results.dir is `{results}`, which leaves the folder of the spec\n"
            f"hint: say where the runs go with `--root {results}`"
        )
    return place
