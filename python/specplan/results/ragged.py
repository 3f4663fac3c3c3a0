"""One recorded column of arrays that differ in shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from specplan.results.batches import Batches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from specplan._native import RaggedReader


@final
class Ragged(Batches[list["NDArray[Any]"]]):
    """The recorded batches of one value whose rows differ in shape: a list of arrays by (epoch, batch).

    Arrays are read-only and alias the mapped file.
    """

    def __init__(self, reader: RaggedReader, epoch: int | None) -> None:
        super().__init__(reader, epoch)
        self._reader = reader

    @property
    def shape(self) -> tuple[None, ...]:
        """None for each dimension of a row."""
        return (None,) * self._reader.dimensions

    def _get(self, epoch: int, batch: int) -> list[NDArray[np.generic]]:
        return self._reader.get(epoch, batch)
