"""What a caller adds to the file that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Composition(msgspec.Struct, frozen=True, kw_only=True):
    """Files under and over a spec, and values that replace its own.

    Attributes:
        pre: files that the spec, with its imports, is laid over; later ones over earlier ones.
        post: files that are laid over the spec.
        overrides: `KEY=VALUE`, applied last and in order.
    """

    pre: tuple[Path, ...] = ()
    post: tuple[Path, ...] = ()
    overrides: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pre or self.post or self.overrides)


NOTHING_ADDED = Composition()
