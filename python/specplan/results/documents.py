"""Rows of a channel of texts, by their place: only those that are wanted are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan._native import StoreReader, TextReader

_AT_ONCE = 4096


def channel_of(records: StoreReader, field: str, node: str) -> TextReader | None:
    """The channel of documents of the run as a whole that have this field and name; None without one."""
    for channel in records.texts():
        if (channel.phase, channel.field, channel.node) == ("", field, node):
            return channel
    return None


def texts_at(channel: TextReader, first: int, most: int) -> list[str]:
    """At most so many rows, from row `first` on."""
    from specplan.results.arrow_files import read_rows

    wanted = []
    before = 0
    for path, start, rows in channel.files():
        low, high = max(first, before), min(first + most, before + rows)
        if low < high:
            wanted.append((path, start + low - before, high - low))
        before += rows
    found = read_rows(wanted)
    texts: list[str] = [] if found is None else found.column(0).to_pylist()
    return texts


def texts_from(channel: TextReader, first: int = 0) -> Iterator[str]:
    """All rows from row `first` on."""
    for start in range(first, channel.rows, _AT_ONCE):
        yield from texts_at(channel, start, _AT_ONCE)
