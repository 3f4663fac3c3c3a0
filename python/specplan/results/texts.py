"""One recorded column of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from specplan.results.batches import Batches

if TYPE_CHECKING:
    from specplan._native import TextReader


@final
class Texts(Batches[list[str]]):
    """The recorded batches of one text, or of JSON values as text: a list of strings by (epoch, batch)."""

    def __init__(self, reader: TextReader, epoch: int | None) -> None:
        super().__init__(reader, epoch)
        self._reader = reader

    @property
    def shape(self) -> tuple[()]:
        """A row is one text."""
        return ()

    def _get(self, epoch: int, batch: int) -> list[str]:
        return self._reader.get(epoch, batch)
