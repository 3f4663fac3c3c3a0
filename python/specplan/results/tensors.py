"""One recorded column of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan._native import TensorReader


class Tensors(Mapping[tuple[int, int], "NDArray[Any]"]):
    """The recorded batches of one value, by (epoch, batch), in the order of recording.

    Arrays are read-only and alias the mapped file: reading one copies nothing and takes no memory
    of its own. They stay valid when the run has been closed or read again. What was recorded after
    `Run.refresh` is not seen here.
    """

    def __init__(self, reader: TensorReader, epoch: int | None) -> None:
        self._reader = reader
        self._epoch = epoch
        self._index: dict[str, NDArray[np.int64]] | None = None

    @property
    def phase(self) -> str:
        """Path of the phase."""
        return self._reader.phase

    @property
    def node(self) -> str:
        """Label of the node, or of the FeatureSet."""
        return self._reader.node

    @property
    def role(self) -> str:
        """Role of the sample."""
        return self._reader.role

    @property
    def field(self) -> str:
        """outputs, targets or sample_id."""
        return self._reader.field

    @property
    def dtype(self) -> str:
        """numpy's name of the item type."""
        return self._reader.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, without the batch axis."""
        return self._reader.shape

    @property
    def rows(self) -> int:
        """Rows of all batches."""
        return int(self.index()["rows"].sum())

    def __getitem__(self, key: tuple[int, int]) -> NDArray[Any]:
        try:
            epoch, batch = key
        except (TypeError, ValueError):
            raise KeyError(f"a batch is found by (epoch, batch), not by {key!r}") from None
        if self._epoch is not None and epoch != self._epoch:
            raise KeyError(f"epoch {epoch} was not kept; the rows are those of epoch {self._epoch}")
        try:
            return self._reader.get(epoch, batch)
        except KeyError:
            raise KeyError(self._not_recorded(epoch, batch)) from None

    def __iter__(self) -> Iterator[tuple[int, int]]:
        index = self.index()
        for epoch, batch in zip(index["epoch"], index["batch"], strict=True):
            yield int(epoch), int(batch)

    def __len__(self) -> int:
        return len(self.index()["epoch"])

    def index(self) -> dict[str, NDArray[np.int64]]:
        """One entry per batch: sequence, epoch, batch, rows, row_start, time (ns since 1970)."""
        if self._index is None:
            index = self._reader.index()
            if self._epoch is not None:
                kept = index["epoch"] == self._epoch
                index = {name: values[kept] for name, values in index.items()}
            self._index = index
        return self._index

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
        if not parts:
            return np.empty((0, *self.shape), self.dtype)
        return np.concatenate(parts)

    def files(self) -> list[tuple[str, int, int]]:
        """Where the rows stand: Arrow IPC file, first row, number of rows; every epoch is in them."""
        return self._reader.files()

    def __repr__(self) -> str:
        return (
            f"Tensors({self.phase}: {self.node}.{self.field}, {self.dtype} {list(self.shape)}, "
            f"{len(self)} batches, {self.rows} rows)"
        )

    def _not_recorded(self, epoch: int, batch: int | None) -> str:
        epochs = np.unique(self.index()["epoch"])
        if epoch in epochs and batch is not None:
            batches = self.index()["batch"][self.index()["epoch"] == epoch]
            return (
                f"batch {batch} of epoch {epoch} is not recorded; "
                f"batches {batches.min()} to {batches.max()} are"
            )
        if not len(epochs):
            return "nothing is recorded yet"
        return f"epoch {epoch} is not recorded; epochs {epochs.min()} to {epochs.max()} are"


def _cut(
    chunks: list[NDArray[Any]], starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[NDArray[Any]]:
    """Views of the rows of some batches; batches that follow each other become one view."""
    if not len(starts):
        return []
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
