"""Files `<name>.ckpt.mml`: the state of an experiment at one moment (docs/archive.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.archive.archive import Archive, writing
from specplan.objects.callback_states import States, add_states, read_states
from specplan.objects.state_entries import add_snapshot, read_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.run.state import Snapshot, State

ABOUT = "about.json"
FIRST_ABOUT = "checkpoint.json"
"""What earlier versions called it: as the index of a checkpoint of a run, which is another file."""


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a checkpoint says of itself.

    Attributes:
        name: under which it was saved.
        experiment: label of the experiment; empty for a graph that has none.
        graph: label of the graph, if only that was saved: history and callbacks are not of it.
        hook: the boundary that it was saved at; None where a program asked for it.
        at: what the boundary is of: `label`, or `phase`, `epoch` and `batch` as far as it has them.
        history: how many entries the history of the experiment had.
        meta: what the program wanted to keep with it.
    """

    name: str
    experiment: str
    graph: str | None = None
    hook: str | None = None
    at: dict[str, str | int] = {}
    history: int = 0
    meta: dict[str, Any] = {}


def write_checkpoint(
    path: Path, about: About, snapshot: Snapshot, callbacks: States, *, overwrite: bool
) -> None:
    """Write a checkpoint aside, and rename it when it is on disk.

    Raises:
        FileExistsError: there is such a file, and it is not to be overwritten.
        RunError: an estimator or the optimizer holds what cannot be stored without pickle.
    """
    with writing(path, "ckpt", overwrite=overwrite) as archive:
        archive.add_json(ABOUT, about)
        add_snapshot(archive, snapshot)
        add_states(archive, callbacks)


def read_checkpoint(path: Path, state: State) -> tuple[About, Snapshot, States]:
    """What a checkpoint says of itself, its snapshot for a state whose nodes are built, and its callbacks.

    Raises:
        FileNotFoundError: there is no such file.
        ArchiveError, StoreError: it is damaged, or no checkpoint.
        RunError: a node is missing in the state, or has other parameters.
    """
    with Archive(path, "ckpt") as archive:
        about = archive.read_json(ABOUT if ABOUT in archive.names else FIRST_ABOUT, About)
        return about, read_snapshot(archive, state), read_states(archive)
