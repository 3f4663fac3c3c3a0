"""What one phase recorded of its forward passes, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np

from specplan.data.formats import FORMATS, in_format
from specplan.errors import RunError
from specplan.results.axis_series import AxisSeries, Reducer
from specplan.results.metric_store import MetricStore
from specplan.results.tensors import Tensors
from specplan.spec.wording import choices
from specplan.store.recorder import beside

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


ARRAYS, TENSORS = ("numpy", "np"), ("torch", "torch.tensor")
JOINED = (*ARRAYS, *TENSORS, "list")
"""The formats of one value, which are joined row by row; the others have a value for each column."""


class TensorSeries(AxisSeries[Any]):
    """Arrays or tensors by (epoch, batch), each of shape (rows, *shape).

    Arrays of the whole series alias the files of the run: reading one copies nothing.
    """

    reducers: ClassVar[Mapping[str, Reducer]] = {
        **AxisSeries.reducers,
        "concat": _joined,
    }

    def mapped(self, function: Callable[[Any], Any]) -> TensorSeries:
        """The same series with a function of each value, called when the value is asked for."""
        made = _Made(list(self._entries), lambda *key: function(self._entries[key]))
        return TensorSeries(self.axes, made)

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
        """Number of each row in its FeatureSet, shape (rows,).

        Raises:
            RunError: there are several FeatureSets, or roles: ask for the `sample_ids` of a node.
        """
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
        key = (self.epoch_idx, self.batch_idx)
        return {
            _name(column): column[key]
            for column in self._store.columns()
            if column.field == field and key in column
        }

    def __repr__(self) -> str:
        return f"ExecutionContext(epoch={self.epoch_idx}, batch={self.batch_idx})"


class ExecutionSeries(AxisSeries[ExecutionContext]):
    """Recorded batches by (epoch, batch)."""


class ExecutionStore:
    """The recorded batches of one phase, or of an evaluation in it, read from the run folder.

    Iterating gives their contexts in the order in which they ran.

    Args:
        run: the run.
        path: path of the phase.
        evaluation: name of an evaluation between its epochs, whose batches are meant.
        epoch: the only epoch that counts; None for all.
    """

    def __init__(
        self, run: Run, path: str, *, evaluation: str | None = None, epoch: int | None = None
    ) -> None:
        self._run = run
        self._planned = path
        self._path = path if evaluation is None else beside(path, evaluation)
        self._epoch = epoch

    @property
    def phase(self) -> Phase:
        """The phase as it was planned."""
        (phase,) = (phase for phase in self._run.plan.phases if phase.path == self._planned)
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
        # Every batch has the numbers of its rows, whichever nodes took part in it.
        of_rows = [column for column in columns if column.field == SAMPLE_ID] or columns
        keys = list(dict.fromkeys(key for column in of_rows for key in column))
        if len(of_rows) > 1:
            keys.sort()
        contexts = ExecutionSeries(
            ("epoch", "batch"), _Made(keys, lambda *key: ExecutionContext(self, *key))
        )
        return contexts if self._epoch is None else contexts.where(epoch=self._epoch)

    def sample_ids(self, source: str | None = None, role: str = "default") -> Tensors:
        """The column of the numbers of the rows of a FeatureSet; of the only one for None.

        Raises:
            RunError: there is none, or several.
        """
        found = [column for column in self.columns() if column.field == SAMPLE_ID]
        if source is not None:
            found = [column for column in found if (column.node, column.role) == (source, role)]
        if len(found) != 1:
            named = ", ".join(f"`{_name(column)}`" for column in found) or "none"
            raise RunError(
                f"phase `{self._path}` recorded the rows of {named}, not of one FeatureSet"
            )
        return found[0]

    def sources_of(self, node: str) -> list[str]:
        """The FeatureSets from which a node is computed."""
        sources: list[str] = []
        for read in self._run.plan.graph.nodes[node].inputs:
            if read.columns:
                sources.append(read.value.partition(".")[0])
            else:
                sources += self.sources_of(read.value)
        return list(dict.fromkeys(sources))

    def tensors(self, node: str, domain: str, *, role: str, fmt: str | None) -> TensorSeries:
        """One recorded column, by (epoch, batch).

        Raises:
            RunError: it was not recorded.
            ValueError: there is no such domain or format.
        """
        if domain not in DOMAINS:
            raise ValueError(f"there is no domain `{domain}`; known: {choices(domain, DOMAINS)}")
        read = _reader(fmt)
        if self._path == self._planned and self.phase.record == "none":
            return TensorSeries(("epoch", "batch"), {})
        column = (
            self.sample_ids(self.sources_of(node)[0], role)
            if DOMAINS[domain] == SAMPLE_ID
            else self._run.tensors(node, DOMAINS[domain], phase=self._path, role=role)
        )
        tensors = TensorSeries(
            ("epoch", "batch"),
            column if read is None else _Made(list(column), lambda *key: read(column, *key)),
        )
        return tensors if self._epoch is None else tensors.where(epoch=self._epoch)

    def batches(self, node: str) -> BatchSeries:
        """What went through one node, by (epoch, batch).

        Raises:
            RunError: its outputs were not recorded.
        """
        outputs = self.tensors(node, "outputs", role="default", fmt=None)
        ids = self.tensors(node, "sample_ids", role="default", fmt=None)
        recorded = [column for column in self.columns() if column.node == node]
        targets = next((column for column in recorded if column.field == "targets"), None)

        def batch(*key: int) -> Batch:
            return Batch(
                outputs=outputs[key],
                targets=None if targets is None else targets[key[0], key[1]],
                sample_ids=ids[key],
            )

        return BatchSeries(("epoch", "batch"), _Made(outputs.keys(), batch))

    def losses(self, node: str | None) -> LossSeries:
        """The losses in each batch, by (epoch, batch, label); of one node or of all."""
        return MetricStore(self._run, self._planned).losses(self.phase, node)

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


def _reader(fmt: str | None) -> Callable[[Tensors, int, int], Any] | None:
    """What makes a format of a column's batch; None where the array itself is it."""
    form = checked_format(fmt)
    if form in ARRAYS:
        return None
    if form in TENSORS:
        return lambda column, epoch, batch: column.torch(epoch, batch)
    return lambda column, epoch, batch: formatted(column[epoch, batch], form, column.field)


def checked_format(fmt: str | None) -> str:
    """The format in lower case, "numpy" for None.

    Raises:
        TypeError: it is no str.
        ValueError: there is no such format.
    """
    if fmt is None:
        return "numpy"
    if not isinstance(fmt, str):
        raise TypeError(f"fmt is a str, not {type(fmt).__name__}")
    if fmt.lower() not in FORMATS:
        raise ValueError(f"there is no format `{fmt}`; known: {choices(fmt, FORMATS)}")
    return fmt.lower()


def formatted(rows: NDArray[Any], fmt: str | None, name: str) -> Any:
    """Rows in a format; `name` is what a frame or mapping calls them.

    Raises:
        TypeError, ValueError: as `checked_format`, or the rows do not fit into it.
    """
    form = checked_format(fmt)
    if form in ARRAYS:
        return rows
    if form == "list":
        return rows.tolist()
    if form in TENSORS:
        return in_format({name: rows}, "dict_torch")[name]
    return in_format({name: rows}, form)


def _name(column: Tensors) -> str:
    return column.node if column.role == "default" else f"{column.node}.{column.role}"
