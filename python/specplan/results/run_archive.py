"""A run as one file, and back: an archive of the kind `run` (docs/archive.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.archive.archive import Archive, archive_path, writing
from specplan.archive.names import experiment_fault, run_fault
from specplan.errors import ArchiveError, RunError
from specplan.results.removal import goes_on
from specplan.results.status import read_run_file
from specplan.store.checked_json import matches_checksum
from specplan.store.layout import RunFolder, experiment_folder
from specplan.store.run_files import locked

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "run"
"""The folder in the archive that has the files of the run."""


class _Named(msgspec.Struct):
    """What run.json says of where the run belongs."""

    experiment: str
    run_id: str


def archive_run(folder: RunFolder, to: Path, *, overwrite: bool = False) -> Path:
    """Write every file of a run into one archive; returns where, with the suffix `.run.mml`.

    Raises:
        RunError: the run goes on, is damaged, or has links inside.
        FileExistsError: there is a file, and it is not to be overwritten.
        ArchiveError: a name is not portable.
    """
    read_run_file(folder)
    if goes_on(folder):
        raise RunError(f"run `{folder.path}` goes on; its files are still growing")
    for path in folder.path.rglob("*"):
        # A part of a run may lie elsewhere; any other link could bring in what is none of it.
        if path.is_symlink() and path.parent != folder.path:
            raise RunError(f"`{path}` is a link, which an archive cannot hold")
    target = archive_path(to, "run")
    with writing(target, "run", overwrite=overwrite) as writer:
        writer.add_folder(FOLDER, folder.path)
    return target


def extract_run(path: Path, root: Path) -> RunFolder:
    """Put the run of an archive below a root, under the names that it had. It appears whole.

    Every file is compared with its digest. Nothing else of the archive is used.

    Raises:
        FileNotFoundError: there is no such file.
        ArchiveError: it is no archive of a run, or is damaged.
        RunError: there is a run of that name.
    """
    with Archive(path, "run") as archive:
        folder = RunFolder(place_of(archive, root))
        if folder.path.exists() or folder.path.is_symlink():
            raise RunError(f"there is a run `{folder.path}` already")
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        if not folder.path.resolve().is_relative_to(root.resolve()):
            raise RunError(
                f"`{folder.path}` does not lie below `{root}`: there is a link on the way"
            )
        with locked(folder.path.parent):
            archive.extract(FOLDER, folder.path)
    return folder


def place_of(archive: Archive, root: Path) -> Path:
    """Where below a root the run of an archive belongs, as its run.json says.

    Raises:
        ArchiveError: it says no place below a root, or is damaged.
    """
    name = f"{FOLDER}/{RunFolder(root).run_file.name}"
    content = archive.read(name)
    said = archive.read_json(name, _Named)
    if not matches_checksum(content):
        raise ArchiveError(f"`{archive.path}`: `{name}` does not match its checksum")
    if fault := experiment_fault(said.experiment) or run_fault(said.run_id):
        place = f"{said.experiment}/{said.run_id}"
        raise ArchiveError(f"`{archive.path}`: {place!r} cannot be the name of a run: {fault}")
    return experiment_folder(root, said.experiment) / said.run_id
