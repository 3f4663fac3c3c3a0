"""Which runs are meant by names and patterns."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from specplan.errors import RunError
from specplan.results.locate import all_runs, experiment_of, find_run, is_archive, runs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.results.open import Run
    from specplan.store.layout import RunFolder

_WILD = frozenset("*?[")
_ALL = "*"


def find_runs(names: Sequence[str], root: Path) -> list[Run]:
    """As `find_folders`, opened for reading."""
    from specplan.results.open import Run

    return [Run(folder) for folder in find_folders(names, root, archives=True)]


def find_folders(
    names: Sequence[str], root: Path, *, newest: bool = False, archives: bool = False
) -> list[RunFolder]:
    """The runs that names mean, each once, in the order of the names and then of age.

    A name is that of one run, as for `find_run`; an experiment means all of its runs, and a pattern
    with `*`, `?` or `[` every run whose `<experiment>/<run>` it matches. No name means all runs.

    Args:
        newest: an experiment means only its newest run.
        archives: as for `find_run`.

    Raises:
        RunError: a name means no run, or a run cannot be read.
    """
    folders: dict[Path, RunFolder] = {}
    for name in names or (_ALL,):
        if is_archive(name) or (newest and not _WILD & set(name)):
            found = [find_run(name, root, archives=archives)]
        else:
            found = _meant(name, root)
        for folder in found:
            folders.setdefault(folder.path.resolve(), folder)
    return list(folders.values())


def _meant(name: str, root: Path) -> list[RunFolder]:
    if _WILD & set(name):
        found = [
            folder
            for folder in all_runs(root)
            if fnmatch.fnmatchcase(f"{experiment_of(folder, root)}/{folder.path.name}", name)
        ]
        if not found and name == _ALL:
            raise RunError(f"there are no runs below `{root}`")
        if not found:
            raise RunError(f"no run below `{root}` matches `{name}`")
        return found
    for path in (Path(name), root / name):
        if runs := list(runs_of(path)):
            return runs
    return [find_run(name, root)]
