"""One recorded column of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from specplan.results.batches import Batches

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    def in_order(self) -> Iterator[list[str]]:
        """All batches in the order of recording, also those of one epoch and batch."""
        for position in range(self._reader.batches):
            yield self._reader.at(position)
