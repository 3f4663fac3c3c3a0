"""The run folders below a root, with one look at each: there may be thousands."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from specplan.archive.names import DEEPEST
from specplan.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Tell = Callable[[RunError], object]


class Found(msgspec.Struct, frozen=True):
    """A run folder.

    Attributes:
        experiment: its parts below the root, divided by `/`.
        path: of the folder; starts as the root was given.
        stamp: changes when run.json, or any other file right inside the folder, is replaced.
    """

    experiment: str
    name: str
    path: str
    stamp: tuple[int, ...]

    @property
    def key(self) -> str:
        """`<experiment>/<run>`."""
        return f"{self.experiment}/{self.name}"

    def ends_in(self, name: str) -> bool:
        """Whether a name is the run's id, or that behind the last parts of its experiment."""
        return f"/{self.key}".endswith(f"/{name}")


def _nobody(_: RunError) -> None: ...


def walk(root: Path, tell: Tell = _nobody) -> Iterator[Found]:
    """The runs of every experiment: experiments by name, runs oldest first.

    A folder that cannot be read hides no other: it is passed over, and `tell` is told.
    """
    for name in _divided(os.fspath(root), "", tell)[1]:
        yield from _below(f"{root}/{name}", name, DEEPEST - 1, tell)


def runs_in(folder: Path, tell: Tell = _nobody) -> list[Found]:
    """The runs right inside a folder, oldest first; `tell` as for `walk`."""
    return _divided(os.fspath(folder), "", tell)[0]


def _below(path: str, experiment: str, depth: int, tell: Tell) -> Iterator[Found]:
    runs, others = _divided(path, experiment, tell)
    yield from runs
    if depth:
        for name in others:
            yield from _below(f"{path}/{name}", f"{experiment}/{name}", depth - 1, tell)


def _divided(path: str, experiment: str, tell: Tell) -> tuple[list[Found], list[str]]:
    """The runs in a folder, oldest first, and the names of what may hold experiments."""
    runs, others = [], []
    for entry in _folders(path, tell):
        if (stamp := _stamp(entry.path)) is not None:
            runs.append(Found(experiment, entry.name, entry.path, stamp))
        elif not entry.is_symlink():
            others.append(entry.name)
    return sorted(runs, key=lambda found: age(found.name)), sorted(others)


def _folders(path: str, tell: Tell) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        tell(_unreadable(path, error))
        return
    for entry in entries:
        # A run that is being created, or removed, lies in a folder whose name begins with a dot.
        if entry.name.startswith("."):
            continue
        try:
            is_folder = entry.is_dir()
        except OSError as error:  # a link that leads to itself, for instance
            tell(_unreadable(entry.path, error))
            continue
        if is_folder:
            yield entry


def _unreadable(path: str, error: OSError) -> RunError:
    return RunError(f"{path} cannot be read: {error.strerror}")


def _stamp(path: str) -> tuple[int, ...] | None:
    """None where there is no run.json, or the folder went away meanwhile."""
    try:
        file = os.stat(f"{path}/run.json")  # noqa: PTH116 -- a Path takes longer than the call
        folder = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    if not stat.S_ISREG(file.st_mode):
        return None
    return (file.st_ino, file.st_size, file.st_mtime_ns, folder.st_ino, folder.st_mtime_ns)


def age(name: str) -> tuple[str, int, str]:
    """What runs are sorted by: a run id ends in .1, .2, ... when several began in one second."""
    stamp, _, suffix = name.partition(".")
    return stamp, int(suffix) if suffix.isdecimal() else 0, name
