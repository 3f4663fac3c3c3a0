"""Taking runs, and what they left behind, away.

What is removed gets a name first that no reader looks at, and then loses its files. So a run is there whole or not at
all, and a removal that was killed half way is found by the next one. Links are never followed: what they point to stays.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

import msgspec

from specplan.base.files import in_the_making
from specplan.errors import RunError
from specplan.results.status import read_run_file, status_now
from specplan.store.layout import RunFolder
from specplan.store.run_files import count_removed, locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GONE = ".gone"
"""How the name of something ends that is being removed."""

Kind = Literal["run", "checkpoints", "leftover"]


class Candidate(msgspec.Struct, frozen=True):
    """Something that may be removed.

    Attributes:
        what: why, in words.
        bytes: that it takes on the disk.
        run: the run that it is a part of.
    """

    path: Path
    kind: Kind
    what: str
    bytes: int
    run: Path | None = None


def candidate(path: Path, kind: Kind, what: str, *, run: Path | None = None) -> Candidate:
    """With its size."""
    return Candidate(path, kind, what, _space(path), run)


def remove(item: Candidate, root: Path) -> None:
    """Take something away.

    Raises:
        RunError: it lies outside of the root, is a link, or belongs to a run that goes on.
        OSError: a file cannot be removed; the rest is found by the next removal.
    """
    _check_inside(item.path, root)
    if item.kind == "run":
        _remove_run(RunFolder(item.path))
    elif item.run is not None:
        with _held(RunFolder(item.run)):
            gone = _put_aside(item.path) if item.kind == "checkpoints" else item.path
            _delete(gone)
    else:
        with locked(item.path.parent):  # nobody is creating a run there
            _delete(item.path)


def reason_to_stay(folder: RunFolder, root: Path) -> str | None:
    """Why a run cannot be removed; None where it can."""
    try:
        _check_inside(folder.path, root)
        with _held(folder):
            return None
    except RunError as error:
        return str(error)


def goes_on(folder: RunFolder) -> bool:
    """Whether a process writes a run, as far as run.json tells. One that is prepared only does not go on."""
    run_file = read_run_file(folder)
    return status_now(run_file).is_unfinished and run_file.sessions[-1].ended_at is None


def _remove_run(folder: RunFolder) -> None:
    experiments = folder.path.parent
    with _held(folder), locked(experiments):
        count_removed(experiments)
        gone = _put_aside(folder.path)
    _delete(gone)


def _check_inside(path: Path, root: Path) -> None:
    if path.is_symlink():
        raise RunError(f"`{path}` is a link; remove it yourself, and then what it points to")
    place, outer = path.resolve(), root.resolve()
    if place == outer or not place.is_relative_to(outer):
        raise RunError(f"`{path}` does not lie below `{root}`; say where the runs are with --root")


@contextmanager
def _held(folder: RunFolder) -> Iterator[None]:
    """Keep everybody from writing a run, or raise RunError where somebody does."""
    lock = folder.records_lock
    with ExitStack() as opened:
        # Where nobody may look, and behind a link, there are no records that a process could write.
        if os.path.isfile(lock) and not lock.is_symlink():  # noqa: PTH113
            refused = f"run `{folder.path}` goes on: a process writes its records"
            opened.enter_context(locked(lock, refused=refused))
        if _says_that_it_goes_on(folder):
            session = read_run_file(folder).sessions[-1]
            raise RunError(
                f"run `{folder.path}` goes on: process {session.pid} on {session.host} writes it"
            )
        yield


def _says_that_it_goes_on(folder: RunFolder) -> bool:
    try:
        return folder.run_file.is_file() and goes_on(folder)
    except RunError:
        return False  # run.json is damaged, and nobody holds the lock of the records


def _put_aside(path: Path) -> Path:
    gone = in_the_making(path, GONE)
    path.rename(gone)
    return gone


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _space(path: Path) -> int:
    """Bytes on the disk: what a hole in a file would have is not counted, and links are not followed."""
    total = _blocks(os.fspath(path))
    for place, folders, files in os.walk(path):
        total += sum(_blocks(f"{place}/{name}") for name in (*folders, *files))
    return total


def _blocks(path: str) -> int:
    try:
        return 512 * os.lstat(path).st_blocks
    except FileNotFoundError:
        return 0  # somebody else removes it as well
