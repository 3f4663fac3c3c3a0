"""What callbacks returned in the phases of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import StoreError
from specplan.store.recorder import RETURNED, beside

if TYPE_CHECKING:
    from specplan._native import StoreReader


def returned(records: StoreReader, phase: str) -> list[dict[str, Any]]:
    """One row for each value that a hook returned in a phase, in the order in which they came (docs/format.md).

    Raises:
        StoreError: the records of them are damaged.
    """
    place = beside(phase, "callbacks")
    channels = [each for each in records.texts() if (each.phase, each.field) == (place, RETURNED)]
    texts = [
        text
        for channel in channels
        for position in range(len(channel.index()["sequence"]))
        for text in channel.at(position)
    ]
    try:
        return [msgspec.json.decode(text, type=dict[str, Any]) for text in texts]
    except msgspec.MsgspecError as error:
        raise StoreError(f"what a callback returned in `{phase}` is damaged: {error}") from error
