"""What the recorded columns of every kind have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from specplan._native import ChannelReader

Value = TypeVar("Value")
Found = TypeVar("Found")


class Batches(Mapping[tuple[int, int], Value]):
    """The recorded batches of one value, by (epoch, batch), in the order of recording.

    What was recorded after `Run.refresh` is not seen here. Of a phase that records its last epoch
    only the epoch that counts is.
    """

    def __init__(self, reader: ChannelReader, epoch: int | None) -> None:
        self._channel = reader
        self._epoch = epoch
        self._index: dict[str, NDArray[np.int64]] | None = None

    @property
    def phase(self) -> str:
        """Path of the phase."""
        return self._channel.phase

    @property
    def node(self) -> str:
        """Label of the node, or of the FeatureSet."""
        return self._channel.node

    @property
    def role(self) -> str:
        """Role of the sample."""
        return self._channel.role

    @property
    def field(self) -> str:
        """outputs, targets, sample_id, or what else a program recorded."""
        return self._channel.field

    @property
    def dtype(self) -> str:
        """numpy's name of the item type; string or json of texts."""
        return self._channel.dtype

    @property
    @abstractmethod
    def shape(self) -> tuple[int | None, ...]:
        """Shape of one row, without the batch axis; None where rows differ."""

    @property
    def rows(self) -> int:
        """Rows of all batches."""
        return int(self.index()["rows"].sum())

    @abstractmethod
    def _get(self, epoch: int, batch: int) -> Value: ...

    def __getitem__(self, key: tuple[int, int]) -> Value:
        try:
            epoch, batch = key
        except (TypeError, ValueError):
            raise KeyError(f"a batch is found by (epoch, batch), not by {key!r}") from None
        return self._found(self._get, epoch, batch)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        index = self.index()
        for epoch, batch in zip(index["epoch"], index["batch"], strict=True):
            yield int(epoch), int(batch)

    def __len__(self) -> int:
        return len(self.index()["epoch"])

    def counts(self) -> tuple[int, int]:
        """How many batches and rows there are now."""
        return self._channel.counts(self._epoch)

    def index(self) -> dict[str, NDArray[np.int64]]:
        """One entry per batch: sequence, epoch, batch, rows, row_start, time (ns since 1970)."""
        if self._index is None:
            index = self._channel.index()
            if self._epoch is not None:
                kept = index["epoch"] == self._epoch
                index = {name: values[kept] for name, values in index.items()}
            self._index = index
        return self._index

    def arrow(self) -> pa.ChunkedArray:
        """All rows in the order of recording, as they are in the Parquet file of the phase.

        They alias the mapped files, but for bool and bfloat16, which Parquet has in other forms.
        """
        index = self.index()
        return self.read(index["row_start"], index["rows"])[1]

    def read(
        self, starts: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[pa.Field, pa.ChunkedArray]:
        """The field and the rows of batches that `index` tells of, as they are in the Parquet file."""
        from specplan.results.arrow_columns import read_column

        return read_column(self._channel, starts, rows)

    def files(self) -> list[tuple[str, int, int]]:
        """Where the rows stand: Arrow IPC file, first row, number of rows; every epoch is in them."""
        return self._channel.files()

    def __repr__(self) -> str:
        shape = "" if self.shape == () else f" {['?' if n is None else n for n in self.shape]}"
        return (
            f"{type(self).__name__}({self.phase}: {self.node}.{self.field}, "
            f"{self.dtype}{shape}, {len(self)} batches, {self.rows} rows)".replace("'", "")
        )

    def _found(self, get: Callable[[int, int], Found], epoch: int, batch: int) -> Found:
        if self._epoch is not None and epoch != self._epoch:
            raise KeyError(f"epoch {epoch} was not kept; the rows are those of epoch {self._epoch}")
        try:
            return get(epoch, batch)
        except KeyError:
            raise KeyError(self._not_recorded(epoch, batch)) from None

    def _not_recorded(self, epoch: int, batch: int | None) -> str:
        import numpy as np

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
