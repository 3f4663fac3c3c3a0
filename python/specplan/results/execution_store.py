"""What one phase recorded of its forward passes, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np

from specplan.results.axis_series import AxisSeries, Reducer
from specplan.results.metric_store import MetricStore
from specplan.results.tensors import Tensors
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from specplan.plan.model import Phase
    from specplan.results.open import Run
    from specplan.results.scalar_series import LossSeries

SAMPLE_ID = "sample_id"
DOMAINS: Mapping[str, str] = {
    "outputs": "outputs",
    "targets": "targets",
    "sample_ids": SAMPLE_ID,
}
"""What can be asked of a node, and the field that records it."""


def _joined(values: Sequence[Any]) -> Any:
    """The rows of several batches in one value of their own kind."""
    if isinstance(values[0], list):
        return [row for rows in values for row in rows]
    if isinstance(values[0], np.ndarray):
        return np.concatenate(values)
    from specplan.store.torch_memory import joined

    return joined(values)


class TensorSeries(AxisSeries[Any]):
    """Arrays or tensors by (epoch, batch), each of shape (rows, *shape).

    Arrays of the whole series alias the files of the run: reading one copies nothing.
    """

    reducers: ClassVar[Mapping[str, Reducer]] = {
        **AxisSeries.reducers,
        "concat": _joined,
    }

    def stacked(self) -> Any:
        """All rows in the order of recording, (all rows, *shape). This copies them.

        Raises:
            ValueError: there are none.
        """
        if not len(self):
            raise ValueError(f"there is nothing to stack: {self!r} is empty")
        return _joined(self.values())


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What went through one node.

    Attributes:
        outputs: shape (rows, *shape).
        targets: the target of each row; None where the node has none.
        sample_ids: number of each row in its FeatureSet, shape (rows,).
    """

    outputs: Any
    targets: Any
    sample_ids: NDArray[np.int64]

    @property
    def batch_size(self) -> int:
        """How many rows."""
        return len(self.sample_ids)

    def __repr__(self) -> str:
        shape = [int(length) for length in self.outputs.shape[1:]]
        return f"Batch({self.batch_size} rows, outputs {shape})"


class BatchSeries(AxisSeries[Batch]):
    """What went through one node, by (epoch, batch)."""


class ExecutionContext:
    """What was recorded of one batch.

    Attributes:
        epoch_idx: number of the epoch, from 0.
        batch_idx: number of the batch, from 0.
    """

    def __init__(self, store: ExecutionStore, epoch: int, batch: int) -> None:
        self._store = store
        self.epoch_idx = epoch
        self.batch_idx = batch

    @property
    def sample_ids(self) -> NDArray[np.int64]:
        """Number of each row in its FeatureSet, shape (rows,)."""
        return self._store.sample_ids()[self.epoch_idx, self.batch_idx]

    @property
    def outputs(self) -> dict[str, NDArray[Any]]:
        """What each recorded node gave, shape (rows, *shape)."""
        return self._field("outputs")

    @property
    def targets(self) -> dict[str, NDArray[Any]]:
        """The target of each recorded node, shape (rows, *shape)."""
        return self._field("targets")

    @property
    def losses(self) -> LossSeries:
        """The losses of the batch, by label."""
        return self._store.losses(None).where(epoch=self.epoch_idx, batch=self.batch_idx).squeeze()

    def _field(self, field: str) -> dict[str, NDArray[Any]]:
        return {
            _name(column): column[self.epoch_idx, self.batch_idx]
            for column in self._store.columns()
            if column.field == field
        }

    def __repr__(self) -> str:
        return f"ExecutionContext(epoch={self.epoch_idx}, batch={self.batch_idx})"


class ExecutionSeries(AxisSeries[ExecutionContext]):
    """Recorded batches by (epoch, batch)."""


class ExecutionStore:
    """The recorded batches of one phase, read from its run folder.

    Iterating gives their contexts in the order in which they ran.
    """

    def __init__(self, run: Run, path: str) -> None:
        self._run = run
        self._path = path

    @property
    def phase(self) -> Phase:
        """The phase as it was planned."""
        (phase,) = (phase for phase in self._run.plan.phases if phase.path == self._path)
        return phase

    def columns(self) -> list[Tensors]:
        """Everything that the phase recorded as tensors."""
        return [
            column
            for column in self._run.channels()
            if column.phase == self._path and isinstance(column, Tensors)
        ]

    def contexts(self) -> ExecutionSeries:
        """The recorded batches, by (epoch, batch)."""
        columns = self.columns()
        # While the run goes on a column may be a few batches ahead of another.
        shortest = min(columns, key=len, default=None)
        keys = [] if shortest is None else list(shortest)
        return ExecutionSeries(
            ("epoch", "batch"), _Made(keys, lambda *key: ExecutionContext(self, *key))
        )

    def sample_ids(self) -> Tensors:
        """The column of the numbers of the rows."""
        (column,) = (column for column in self.columns() if column.field == SAMPLE_ID)
        return column

    def tensors(self, node: str, domain: str, *, role: str, fmt: str | None) -> TensorSeries:
        """One recorded column, by (epoch, batch).

        Raises:
            RunError: it was not recorded.
            ValueError: there is no such domain or format.
        """
        if domain not in DOMAINS:
            raise ValueError(f"there is no domain `{domain}`; known: {choices(domain, DOMAINS)}")
        read = _reader(fmt)
        if self.phase.record == "none":
            return TensorSeries(("epoch", "batch"), {})
        column = (
            self.sample_ids()
            if DOMAINS[domain] == SAMPLE_ID
            else self._run.tensors(node, DOMAINS[domain], phase=self._path, role=role)
        )
        return TensorSeries(
            ("epoch", "batch"),
            column if read is None else _Made(list(column), lambda *key: read(column, *key)),
        )

    def batches(self, node: str) -> BatchSeries:
        """What went through one node, by (epoch, batch).

        Raises:
            RunError: its outputs were not recorded.
        """
        outputs = self.tensors(node, "outputs", role="default", fmt=None)
        recorded = [column for column in self.columns() if column.node == node]
        targets = next((column for column in recorded if column.field == "targets"), None)

        def batch(*key: int) -> Batch:
            return Batch(
                outputs=outputs[key],
                targets=None if targets is None else targets[key[0], key[1]],
                sample_ids=self.sample_ids()[key[0], key[1]],
            )

        return BatchSeries(("epoch", "batch"), _Made(outputs.keys(), batch))

    def losses(self, node: str | None) -> LossSeries:
        """The losses in each batch, by (epoch, batch, label); of one node or of all."""
        return MetricStore(self._run, self._path).losses(self.phase, node)

    def __iter__(self) -> Iterator[ExecutionContext]:
        return iter(self.contexts().values())

    def __len__(self) -> int:
        return len(self.contexts())

    def __repr__(self) -> str:
        return f"ExecutionStore({self._path}: {len(self)} batches)"


class _Made(Mapping[tuple[Any, ...], Any]):
    """Values that are made when they are asked for."""

    def __init__(self, keys: Sequence[tuple[Any, ...]], make: Callable[..., Any]) -> None:
        self._keys = dict.fromkeys(keys)
        self._make = make

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return self._make(*key)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


_FORMATS: Mapping[str, Callable[[Tensors, int, int], Any] | None] = {
    "numpy": None,
    "np": None,
    "torch": lambda column, epoch, batch: column.torch(epoch, batch),
    "list": lambda column, epoch, batch: column[epoch, batch].tolist(),
}
"""What makes a format of a column's batch; None where the array itself is it."""


def _reader(fmt: str | None) -> Callable[[Tensors, int, int], Any] | None:
    if fmt is None:
        return None
    if fmt not in _FORMATS:
        raise ValueError(f"there is no format `{fmt}`; known: {quoted(_FORMATS)}")
    return _FORMATS[fmt]


def _name(column: Tensors) -> str:
    return column.node if column.role == "default" else f"{column.node}.{column.role}"
