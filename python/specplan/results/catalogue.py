"""Which runs are meant by names and patterns."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from specplan.errors import RunError
from specplan.results.locate import (
    below,
    find_run,
    is_archive,
    no_runs,
    not_found,
    place_below,
    runs_at,
)
from specplan.results.walk import walk
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from specplan.results.open import Run
    from specplan.results.walk import Found

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

    A name is one for `meant`, or the path of a run or an experiment outside of the root. No name means all runs.

    Args:
        newest: an experiment means only its newest run.
        archives: as for `find_run`.

    Raises:
        RunError: a name means no run, or a run cannot be read.
    """
    folders: dict[Path, RunFolder] = {}
    for name in names or (_ALL,):
        if is_archive(name) or (newest and not is_pattern(name)):
            found = [find_run(name, root, archives=archives)]
        else:
            found = _found(name, root)
        for folder in found:
            folders.setdefault(folder.path.resolve(), folder)
    return list(folders.values())


def meant(names: Sequence[str], root: Path) -> Callable[[Found], bool]:
    """Whether a run below the root is meant by one of the names; all are where there is no name.

    A name is the folder of a run, of an experiment or of several, from here or below the root, and means every run in
    it; or it is a run id, alone or behind the last parts of its experiment. A pattern with `*`, `?` or `[` means each run whose `<experiment>/<run>`, or experiment, it
    matches.
    """
    means = [_meaning(name, root) for name in names]
    return lambda found: not means or any(mean(found) for mean in means)


def _meaning(name: str, root: Path) -> Callable[[Found], bool]:
    if is_pattern(name):
        return lambda found: (
            fnmatch.fnmatchcase(found.key, name) or fnmatch.fnmatchcase(found.experiment, name)
        )
    place = place_below(name, root)
    if place is None:
        return lambda found: found.ends_in(name)
    return lambda found: not place or f"{found.key}/".startswith(f"{place}/")


def _found(name: str, root: Path) -> list[RunFolder]:
    if not is_pattern(name):
        place = place_below(name, root)
        if inside := runs_at(Path(name)) if place is None else below(root / place):
            return inside
    means = _meaning(name, root)
    if found := [RunFolder(root / each.key) for each in walk(root) if means(each)]:
        return found
    if name == _ALL:
        raise RunError(no_runs(root))
    raise RunError(not_found(name, root))


def is_pattern(name: str) -> bool:
    """Whether a name may mean several."""
    return not _WILD.isdisjoint(name)
