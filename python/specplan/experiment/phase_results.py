"""What a phase left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.results.open import Run
    from specplan.results.table import Table
    from specplan.results.tensors import Tensors


class PhaseResults:
    """The records of one phase of a run, read from its run folder when asked for.

    Attributes:
        label: label of the phase.
        kind: train, eval or fit.
        path: labels of the groups around the phase and its own, joined by dots.
        run: the run that the phase was part of.
    """

    def __init__(self, label: str, kind: str, path: str, run: Run) -> None:
        self.label = label
        self.kind = kind
        self.path = path
        self.run = run

    def metrics(self, name: str | None = None) -> Table:
        """The logged values, one row each; a null batch means the whole epoch or phase.

        Columns: run_id, session, phase, node, split, name, epoch, batch, step, time, value.
        """
        return self.run.metrics(name=name, phase=self.path)

    def metric_names(self) -> list[str]:
        """Names of the metrics, in the order in which they first occur."""
        return list(dict.fromkeys(self.metrics().arrow.column("name").to_pylist()))

    def losses(self, node: str | None = None) -> Table:
        """The rows of `metrics` that are values of single losses, of one node or of all."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from specplan.results.table import Table

        phase = next(phase for phase in self.run.plan.phases if phase.path == self.path)
        chosen = [loss for loss in phase.losses if node in (None, loss.node)]
        labels = pa.array([loss.label for loss in chosen], pa.string())
        rows = self.metrics().arrow
        wanted = pc.is_in(rows.column("name"), value_set=labels)
        return Table(rows.filter(wanted))

    def tensors(self, node: str, domain: str = "outputs") -> Tensors:
        """The recorded batches of a node's "outputs" or "targets", by (epoch, batch).

        Raises:
            RunError: they were not recorded.
        """
        return self.run.tensors(node, domain, phase=self.path)

    def execution_contexts(self) -> ExecutionContexts:
        """The recorded batches, in the order in which they ran. Nothing is read before it is asked for."""
        from specplan.results.tensors import Tensors

        channels = [
            channel
            for channel in self.run.channels()
            if channel.phase == self.path and isinstance(channel, Tensors)
        ]
        return ExecutionContexts(channels)

    def __repr__(self) -> str:
        return f"PhaseResults({self.path!r}, {self.kind}, run {self.run.id}, {self.run.status})"


class ExecutionContext:
    """What was recorded of one batch.

    Attributes:
        epoch: number of the epoch, from 0.
        batch: number of the batch, from 0.
    """

    def __init__(self, channels: Sequence[Tensors], epoch: int, batch: int) -> None:
        self._channels = channels
        self.epoch = epoch
        self.batch = batch

    @property
    def sample_ids(self) -> NDArray[Any]:
        """Number of each row in its FeatureSet, shape (rows,)."""
        (channel,) = (channel for channel in self._channels if channel.field == "sample_id")
        return channel[self.epoch, self.batch]

    @property
    def outputs(self) -> dict[str, NDArray[Any]]:
        """What each recorded node gave, shape (rows, *shape)."""
        return self._field("outputs")

    @property
    def targets(self) -> dict[str, NDArray[Any]]:
        """The target of each recorded node, shape (rows, *shape)."""
        return self._field("targets")

    def _field(self, field: str) -> dict[str, NDArray[Any]]:
        return {
            channel.node: channel[self.epoch, self.batch]
            for channel in self._channels
            if channel.field == field
        }

    def __repr__(self) -> str:
        return f"ExecutionContext(epoch={self.epoch}, batch={self.batch})"


class ExecutionContexts(Sequence[ExecutionContext]):
    """The recorded batches of a phase."""

    def __init__(self, channels: Sequence[Tensors]) -> None:
        self._channels = channels
        self._keys = list(channels[0]) if channels else []

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> ExecutionContext: ...
    @overload
    def __getitem__(self, index: slice) -> list[ExecutionContext]: ...
    def __getitem__(self, index: int | slice) -> ExecutionContext | list[ExecutionContext]:
        if isinstance(index, slice):
            return [ExecutionContext(self._channels, *key) for key in self._keys[index]]
        return ExecutionContext(self._channels, *self._keys[index])

    def __repr__(self) -> str:
        return f"ExecutionContexts({len(self)} batches)"
