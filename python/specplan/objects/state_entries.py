"""A state as entries of an archive: the files of run/state_file.py below one folder."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from specplan.archive.archive import Archive, writing

if TYPE_CHECKING:
    from specplan.archive.archive import ArchiveWriter
    from specplan.run.state import Snapshot, State

FOLDER = "state"


def add_snapshot(archive: ArchiveWriter, snapshot: Snapshot) -> None:
    """Add a state that was put aside.

    Raises:
        RunError: an estimator or the optimizer holds what cannot be stored without pickle.
    """
    from specplan.run.state_file import write_snapshot

    with TemporaryDirectory(prefix="specplan-") as folder:
        write_snapshot(snapshot, Path(folder))
        archive.add_folder(FOLDER, Path(folder))


def read_snapshot(archive: Archive, state: State) -> Snapshot:
    """The state in an archive, for a state whose nodes are built.

    Raises:
        ArchiveError, StoreError: it is damaged.
        RunError: a node is missing in the state, or has other parameters.
    """
    from specplan.run import state_file

    with TemporaryDirectory(prefix="specplan-") as folder:
        archive.extract(FOLDER, Path(folder) / FOLDER)
        return state_file.read_snapshot(state, Path(folder) / FOLDER)


def state_bytes(snapshot: Snapshot) -> bytes:
    """A state that was put aside, as the bytes of an archive. Equal states have equal bytes."""
    with TemporaryDirectory(prefix="specplan-") as folder:
        path = Path(folder) / "state.ckpt.mml"
        with writing(path, "ckpt", overwrite=False) as archive:
            add_snapshot(archive, snapshot)
        return path.read_bytes()


def state_from_bytes(content: bytes, state: State) -> Snapshot:
    """What `state_bytes` was given, for a state whose nodes are built.

    Raises:
        ArchiveError, StoreError: it is damaged.
        RunError: a node is missing in the state, or has other parameters.
    """
    with TemporaryDirectory(prefix="specplan-") as folder:
        path = Path(folder) / "state.ckpt.mml"
        path.write_bytes(content)
        with Archive(path, "ckpt") as archive:
            return read_snapshot(archive, state)
