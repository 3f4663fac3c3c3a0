"""Which folder is meant by the name of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from specplan.errors import RunError
from specplan.results.walk import age, runs_in, walk
from specplan.spec.suggest import closest
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.results.walk import Tell

SHOWN = 8
ARCHIVE = ".run.mml"


def find_run(name: str | Path, root: Path, *, archives: bool = False) -> RunFolder:
    """The run that `name` means.

    A run folder or an experiment's folder by its path; or, below `root`, `<experiment>/<run>`, `<experiment>`, the
    beginning of several, or a run id that occurs once, with any last parts of its experiment. An experiment means its
    newest run, and so does what holds experiments, but no run of its own.

    Args:
        archives: whether the path of an archive means the run in it, for reading.

    Raises:
        RunError: there is no such run, or a run id occurs in several experiments.
        ArchiveError: the archive is damaged, or none of a run.
    """
    if is_archive(name):
        return _in_archive(Path(name), root, allowed=archives)
    for path in (Path(name), root / name):
        if runs := runs_at(path):
            return runs[-1]
    place = place_below(str(name), root)
    if place is not None and (inside := below(root / place)):
        return max(inside, key=lambda folder: age(folder.path.name))
    matches = [RunFolder(root / found.key) for found in walk(root) if found.ends_in(str(name))]
    if len(matches) == 1:
        return matches[0]
    if matches:
        places = ", ".join(f"`{_short(folder, root)}`" for folder in matches)
        raise RunError(f"several runs are called `{name}`: {places}")
    raise RunError(not_found(str(name), root))


def is_archive(name: str | Path) -> bool:
    """Whether a name is the path of an archive of a run."""
    return str(name).endswith(ARCHIVE) and Path(name).is_file()


def _in_archive(path: Path, root: Path, *, allowed: bool, whole: bool = False) -> RunFolder:
    if not allowed:
        hint = f"hint: `mlx archive {path} --extract` puts it below `{root}`"
        raise RunError(f"`{path}` is an archive of a run, which is only read\n{hint}")
    from specplan.results.opened_archive import opened

    return opened(path, whole=whole)


def find_folder(name: str | Path, root: Path) -> RunFolder:
    """The run that `name` means, also where its run.json is lost: then by the path of its folder. It is read only, and
    whole if it is in an archive.

    Raises:
        RunError: there is no such run, or a run id occurs in several experiments.
    """
    if is_archive(name):
        return _in_archive(Path(name), root, allowed=True, whole=True)
    for path in (Path(name), root / name):
        if RunFolder(path).records.is_dir():
            return RunFolder(path)
    return find_run(name, root)


def runs_of(experiment: Path) -> Iterator[RunFolder]:
    """The runs of one experiment's folder, oldest first; none where the folder cannot be read."""
    for found in runs_in(experiment):
        yield RunFolder(experiment / found.name)


def runs_at(place: Path) -> list[RunFolder]:
    """The run that a folder is, or the runs of the experiment that it is, oldest first."""
    own = RunFolder(place)
    return [own] if own.run_file.is_file() else list(runs_of(place))


def below(place: Path) -> list[RunFolder]:
    """The run that a folder is, or the runs in it at any depth: experiments by name, runs oldest first."""
    own = RunFolder(place)
    return [own] if own.run_file.is_file() else list(all_runs(place))


def place_below(name: str, root: Path) -> str | None:
    """The path below the root of the folder that a name is the path of, from here or there; None where there is none."""
    for path in (Path(name), root / name):
        inside = os.path.relpath(path, root)  # links stay: one to a run is listed by its own name
        if path.is_dir() and Path(inside).parts[:1] != (os.pardir,):
            return "" if inside == os.curdir else inside
    return None


def all_runs(root: Path, *tell: Tell) -> Iterator[RunFolder]:
    """The runs of every experiment below `root`: experiments by name, runs oldest first; `tell` as for `walk`."""
    for found in walk(root, *tell):
        yield RunFolder(root / found.key)


def experiment_of(folder: RunFolder, root: Path) -> str:
    """The name of a run's experiment below `root`, of one or more parts."""
    return folder.path.parent.relative_to(root).as_posix()


def _short(folder: RunFolder, root: Path) -> str:
    return f"{experiment_of(folder, root)}/{folder.path.name}"


def not_found(name: str, root: Path) -> str:
    """That a name means no run, and what there is."""
    found = list(all_runs(root))
    runs = [_short(folder, root) for folder in found]
    if not runs:
        return f"no run `{name}`: {no_runs(root)}"
    experiments = sorted({experiment_of(folder, root) for folder in found})
    experiment = name if name in experiments else name.rpartition("/")[0]
    if experiment in experiments:
        known = [run for run in runs if run.startswith(f"{experiment}/")]
        message = f"no run `{name}`; runs of `{experiment}`: {_newest(known)}"
    else:
        known = [*experiments, *runs]
        message = f"no run `{name}`; experiments below `{root}`: {_newest(experiments)}"
    near = closest(name, known)
    return message + (f"\nhint: did you mean `{near}`?" if near else "")


def no_runs(root: Path) -> str:
    """That there are no runs below the root, which may be the folder of an experiment itself."""
    message = f"there are no runs below `{root}`"
    if not runs_at(root):
        return message
    return f"{message}, which is an experiment itself\nhint: --root {root.absolute().parent}"


def _newest(names: list[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"`{name}`" for name in names[-SHOWN:]) + more
