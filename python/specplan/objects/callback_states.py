"""What the callbacks of an experiment keep, beside the state of its graph."""

from __future__ import annotations

import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from specplan.errors import ArchiveError
from specplan.run.callback import Callback
from specplan.run.dispatch import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specplan.archive.archive import Archive, ArchiveWriter
    from specplan.objects.experiment_callback import ExperimentCallback
    from specplan.objects.phase import Phase
    from specplan.objects.phase_group import PhaseGroup
    from specplan.run.callback import Hooked

    Entries = Mapping[str, Phase | PhaseGroup]
    """Phases and groups by their paths."""

ENTRY = "callbacks.json"
TENSORS = "callbacks.safetensors"

States = dict[str, dict[str, Any]]
"""What `state_dict` gave, by the place of the callback: `<phase>/<label>`, or `/<number>` of the experiment."""


def states_of(entries: Entries, callbacks: Sequence[ExperimentCallback] = ()) -> States:
    """What the callbacks of phases, and those of the experiment, want to be kept."""
    return copy.deepcopy(given_of(entries, callbacks))


def given_of(entries: Entries, callbacks: Sequence[ExperimentCallback]) -> States:
    """The same, which they may still change.

    Raises:
        RunError: a `state_dict` failed.
    """
    found = {place: state_of(each) for place, each in _by_place(entries, callbacks).items()}
    return {place: state for place, state in found.items() if state is not None}


def take_up(
    states: Mapping[str, Mapping[str, Any]],
    entries: Entries,
    callbacks: Sequence[ExperimentCallback] = (),
) -> None:
    """Give callbacks that are there what they wanted to be kept."""
    for place, each in _by_place(entries, callbacks).items():
        if place in states:
            each.load_state_dict(copy.deepcopy(dict(states[place])))


def add_states(archive: ArchiveWriter, states: States) -> None:
    """Add them to an archive.

    Raises:
        RunError: a state holds what cannot be stored without pickle.
    """
    if not states:
        return
    from specplan.run.state_values import pack
    from specplan.store.artifact_tensors import write_tensors

    tensors: dict[str, Any] = {}
    archive.add_json(ENTRY, pack(states, tensors, "callbacks"))
    if tensors:
        with TemporaryDirectory(prefix="specplan-") as folder:
            write_tensors(Path(folder) / TENSORS, tensors)
            archive.add_file(TENSORS, Path(folder) / TENSORS)


def read_states(archive: Archive) -> States:
    """What `add_states` was given.

    Raises:
        ArchiveError, StoreError: it is damaged.
    """
    if ENTRY not in archive.names:
        return {}
    from specplan.run.state_file import read_tensors
    from specplan.run.state_values import unpack

    tensors: dict[str, Any] = {}
    if TENSORS in archive.names:
        with TemporaryDirectory(prefix="specplan-") as folder:
            (Path(folder) / TENSORS).write_bytes(archive.read(TENSORS))
            tensors = read_tensors(Path(folder), TENSORS)
    try:
        states: States = unpack(archive.read_json(ENTRY, dict[str, Any]), tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"`{archive.path}`: `{ENTRY}` cannot be read: {error}") from None
    return states


def _by_place(entries: Entries, callbacks: Sequence[ExperimentCallback]) -> dict[str, Hooked]:
    found: dict[str, Hooked] = {f"/{number}": each for number, each in enumerate(callbacks)}
    for path, entry in entries.items():
        for callback in getattr(entry, "callbacks", ()):
            if isinstance(callback, Callback):
                found[f"{path}/{callback.label}"] = callback
    return found
