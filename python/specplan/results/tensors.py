"""One recorded column of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from specplan.results.batches import Batches

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from specplan._native import TensorReader


@final
class Tensors(Batches["NDArray[Any]"]):
    """The recorded batches of one value, by (epoch, batch), in the order of recording.

    Arrays are read-only and alias the mapped file: reading one copies nothing and takes no memory
    of its own. They stay valid when the run has been closed or read again.
    """

    def __init__(self, reader: TensorReader, epoch: int | None) -> None:
        super().__init__(reader, epoch)
        self._reader = reader

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, without the batch axis."""
        return self._reader.shape

    def torch(self, epoch: int, batch: int) -> torch.Tensor:
        """The rows of one batch as a torch tensor, of the item type that was recorded.

        It is on a map of its own: nothing is copied, and a change of the tensor changes neither the file
        nor what others read.

        Raises:
            KeyError: the batch was not recorded.
        """
        from specplan.store.torch_memory import as_recorded

        return as_recorded(self._found(self._reader.private, epoch, batch), self.dtype)

    def chunks(self) -> list[NDArray[Any]]:
        """All rows in the order of recording as a few large arrays that alias the files."""
        chunks = self._reader.chunks()
        if self._epoch is None:
            return chunks
        index = self.index()
        return _cut(chunks, index["row_start"], index["rows"])

    def stacked(self, epoch: int | None = None) -> NDArray[Any]:
        """All rows, or those of one epoch, as one array (rows, *shape). This copies them."""
        index = self.index()
        if epoch is None:
            parts = self.chunks()
        else:
            wanted = index["epoch"] == epoch
            if not wanted.any():
                raise KeyError(self._not_recorded(epoch, None))
            parts = _cut(self._reader.chunks(), index["row_start"][wanted], index["rows"][wanted])
        import numpy as np

        if parts:
            return np.concatenate(parts)
        from specplan.results.arrow_columns import BITS

        return np.empty((0, *self.shape), BITS.get(self.dtype, self.dtype))

    def _get(self, epoch: int, batch: int) -> NDArray[Any]:
        return self._reader.get(epoch, batch)


def _cut(
    chunks: list[NDArray[Any]], starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[NDArray[Any]]:
    """Views of the rows of some batches; batches that follow each other become one view."""
    if not len(starts):
        return []
    import numpy as np

    breaks = np.flatnonzero(starts[1:] != starts[:-1] + rows[:-1]) + 1
    firsts = starts[np.concatenate([[0], breaks])]
    ends = (starts + rows)[np.concatenate([breaks - 1, [len(starts) - 1]])]
    parts = []
    position = 0
    for chunk in chunks:
        for first, end in zip(firsts, ends, strict=True):
            low, high = max(first - position, 0), min(end - position, len(chunk))
            if low < high:
                parts.append(chunk[low:high])
        position += len(chunk)
    return parts
