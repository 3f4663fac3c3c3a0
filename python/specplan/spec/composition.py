"""What a caller adds to the file that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.diagnostics import Path as Place


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a sweep gives one place of a spec.

    Attributes:
        address: the place, as for `-c`.
        key, place: paths in the spec, where it names that place and where the value comes from.
    """

    address: str
    value: Any
    key: Place
    place: Place


class Composition(msgspec.Struct, frozen=True, kw_only=True):
    """Files under and over a spec, and values that replace its own.

    Attributes:
        pre: files that the spec, with its imports, is laid over; later ones over earlier ones.
        post: files that are laid over the spec.
        overrides: `KEY=VALUE`, applied last and in order.
        settings: of one run of a sweep, after the overrides; None for the spec with its sweep.
    """

    pre: tuple[Path, ...] = ()
    post: tuple[Path, ...] = ()
    overrides: tuple[str, ...] = ()
    settings: tuple[Setting, ...] | None = None

    def __bool__(self) -> bool:
        return bool(self.pre or self.post or self.overrides)


NOTHING_ADDED = Composition()
