"""The checkpoints of a run on disk: folders that are there whole, or not at all.

checkpoints/000012/
  checkpoint.json       what it belongs to and where it stands, with the digest of each other file
  values.safetensors    tensors among its values; absent where there are none
  state/ best/ group-0/ states (run/state_file.py)
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.files import in_the_making, sync_folder
from specplan.errors import StoreError
from specplan.store.artifacts import file_digest, files_below
from specplan.store.checked_json import encode_checked, matches_checksum
from specplan.store.run_file import PhaseTiming  # noqa: TC001 -- msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
INDEX = "checkpoint.json"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of checkpoint.json.

    Attributes:
        session: the session that wrote it.
        commit: number of the last record that belongs to it.
        phase: index in the plan of the phase to go on with.
        is_open: whether that phase has begun, and goes on at a step.
        groups: the states with which open groups began, by path; each the name of a folder.
        values: position, what was measured, generators and callbacks, packed (run/state_values.py).
        phases, kept_epochs: of run.json, as they were.
        surroundings: what else decides the bits, by name.
        data: digest of the values of each FeatureSet that the run reads.
        digests: BLAKE3 of the other files, by path.
    """

    format: int = FORMAT
    plan_id: str
    session: int
    created_at: str
    commit: int
    phase: int
    is_open: bool
    groups: dict[str, str]
    values: Any
    phases: tuple[PhaseTiming, ...]
    kept_epochs: dict[str, int]
    surroundings: dict[str, str]
    data: dict[str, str]
    digests: dict[str, str] = {}


class CheckpointFolder:
    """Writes and reads the checkpoints of one run. They are numbered from 1."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def numbers(self) -> list[int]:
        """Those that are there, whether or not they are whole, oldest first."""
        if not self._path.is_dir():
            return []
        return sorted(int(each.name) for each in self._path.iterdir() if each.name.isdecimal())

    def path_of(self, number: int) -> Path:
        """The folder of a checkpoint."""
        return self._path / f"{number:06d}"

    @contextmanager
    def writing(self, number: int) -> Iterator[Path]:
        """A folder in which a checkpoint is made. It gets its name, on disk, when the block is done.

        Raises:
            StoreError: something could not be written. Other checkpoints are as they were.
        """
        aside = in_the_making(self.path_of(number))
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            yield aside
            for each in (aside, *aside.rglob("*")):
                sync_folder(each)  # what is done to a folder is done to a file
            aside.rename(self.path_of(number))
            sync_folder(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            cause = error.strerror or error
            message = f"checkpoint `{self.path_of(number)}` cannot be written: {cause}"
            raise StoreError(message) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def read(self, number: int) -> Checkpoint:
        """A checkpoint, all of whose files match their digests.

        Raises:
            StoreError: it is damaged, not complete, or of a later version.
        """
        checkpoint = self.index(number)
        for damage in self.damages(number, checkpoint):
            raise damage
        return checkpoint

    def index(self, number: int) -> Checkpoint:
        """What a checkpoint says of itself.

        Raises:
            StoreError: its checkpoint.json is damaged, missing, or of a later version.
        """
        return _read_index(self.path_of(number) / INDEX)

    def damages(self, number: int, checkpoint: Checkpoint) -> Iterator[StoreError]:
        """What is wrong with the other files of a checkpoint, one file after the other."""
        folder = self.path_of(number)
        for name, digest in checkpoint.digests.items():
            path = folder / name
            try:
                matches = file_digest(path) == digest
            except FileNotFoundError:
                yield StoreError(f"{path}: the file is missing")
            except OSError as error:
                yield StoreError(f"{path}: cannot be read: {error.strerror}")
            else:
                if not matches:
                    yield StoreError(f"{path}: the file does not match its digest")

    def keep(self, count: int) -> None:
        """Remove all but the newest `count`, once the newest has proven to be whole.

        Raises:
            StoreError: it has not, or another one could not be removed.
        """
        numbers = self.numbers()
        self.read(numbers[-1])
        for number in numbers[:-count]:
            # A folder with its name has all of its files, also when this is killed half way.
            gone = in_the_making(self.path_of(number))
            path = self.path_of(number)
            try:
                path.rename(gone)
            except OSError as error:
                message = f"checkpoint `{path}` cannot be removed: {error.strerror}"
                raise StoreError(message) from error
            shutil.rmtree(gone, ignore_errors=True)

    def clear(self, *, after: int) -> None:
        """Remove what was begun and not finished, and checkpoints after number `after`."""
        if not self._path.is_dir():
            return
        for path in self._path.iterdir():
            if path.name.startswith(".") or (path.name.isdecimal() and int(path.name) > after):
                shutil.rmtree(path, ignore_errors=True)


def write_index(folder: Path, checkpoint: Checkpoint) -> None:
    """Write checkpoint.json, the last file of a checkpoint, with the digests of all that is there."""
    digests = {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(files_below(folder))
    }
    whole = msgspec.structs.replace(checkpoint, digests=digests)
    (folder / INDEX).write_bytes(encode_checked(whole))


def _read_index(path: Path) -> Checkpoint:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    if not matches_checksum(content):
        raise StoreError(f"{path}: the file does not match its checksum")
    try:
        found = msgspec.json.decode(content)["format"]
        if found != FORMAT:
            raise StoreError(f"{path} has format {found}; this program reads {FORMAT}")
        return msgspec.json.decode(content, type=Checkpoint)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error
