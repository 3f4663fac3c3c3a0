"""JSON documents among the records of a run: each is one record of a channel of texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan._native import StoreReader, TextReader

OBJECT = dict[str, Any]


def channels_of(records: StoreReader, field: str, *, phase: str = "") -> list[TextReader]:
    """The channels of a field, one for each name below it, in the order of the first document of each.

    Args:
        records: of the run.
        field: one of `specplan.store.fields`, or another.
        phase: where the documents belong; empty for the run as a whole.
    """
    return [each for each in records.texts() if (each.phase, each.field) == (phase, field)]


def channel_of(
    records: StoreReader, field: str, node: str = "", *, phase: str = ""
) -> TextReader | None:
    """The channel of a field and a name below it; None where nothing of it was recorded."""
    found = (each for each in channels_of(records, field, phase=phase) if each.node == node)
    return next(found, None)


def texts(channel: TextReader | None, first: int = 0, most: int | None = None) -> Iterator[str]:
    """Documents as they were written, oldest first.

    Args:
        channel: that has them; None for none.
        first: place of the first that is wanted.
        most: how many are wanted; None for all.

    Raises:
        StoreError: one does not match its checksum.
    """
    if channel is None:
        return
    end = channel.batches if most is None else min(first + most, channel.batches)
    for place in range(first, end):
        yield from channel.at(place)


def documents(
    channel: TextReader | None, kind: Any = OBJECT, *, first: int = 0, most: int | None = None
) -> list[Any]:
    """As `texts`, decoded.

    Args:
        channel, first, most: as there.
        kind: what each document has to be.

    Raises:
        StoreError: one is damaged, or of another kind.
    """
    if channel is None:
        return []
    place = next((str(Path(path).parent) for path, _, _ in channel.files()), channel.field)
    return [decoded(text, kind, place) for text in texts(channel, first, most)]


def decoded(text: str, kind: Any, place: str) -> Any:
    """One document of a field, or of the folder that has its channel.

    Raises:
        StoreError: it is damaged, or of another kind.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"a document of `{place}` is damaged: {error}") from error
