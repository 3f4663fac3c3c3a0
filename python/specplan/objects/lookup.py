"""Entries by position or label."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Mapping

Entry = TypeVar("Entry")


def entry_at(owner: str, entries: Mapping[str, Entry], key: int | str) -> Entry:
    """The entry at a position, negative from the end, or of a label.

    Raises:
        KeyError: no entry has this label.
        IndexError: there is no such position.
        TypeError: the key is neither an int nor a str.
    """
    if isinstance(key, str):
        if key not in entries:
            raise KeyError(f"`{owner}` has no `{key}`; it has: {choices(key, entries)}")
        return entries[key]
    if isinstance(key, bool) or not isinstance(key, int):
        raise TypeError(f"an entry of `{owner}` is found by int or str, not {type(key).__name__}")
    if not -len(entries) <= key < len(entries):
        raise IndexError(f"`{owner}` has {len(entries)} entries; there is none at {key}")
    return list(entries.values())[key]
