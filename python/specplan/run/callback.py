"""What a program does inside a phase, and what it can return there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class MetricResult(msgspec.Struct, frozen=True):
    """A number that a hook returns to have it logged with the metrics of the phase.

    Attributes:
        metric_name: name of the series. It cannot be one that the phase records itself.
        metric_value: the value for the epoch, the batch or the phase at whose boundary it is returned.
    """

    metric_name: str
    metric_value: float


class ArtifactResult(msgspec.Struct, frozen=True):
    """A rich object that a hook returns to have it kept.

    Attributes:
        artifact_name: stable name; each time it is returned makes another version.
        artifact: figure, array, tensor, frame, JSON value, text, bytes, or the path of a file or folder.
    """

    artifact_name: str
    artifact: Any


class ExecutionMoment(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a phase a hook is called, and the batch that is there.

    Attributes:
        phase_label: label of the phase.
        epoch_idx: number of the epoch, from 0; None in phases that have none.
        batch_idx: number of the batch in it, from 0; that of the first or last one at the boundary of
            an epoch, None before and after a phase.
        inputs: what each node without nodes before it reads, shape (rows, *shape); read-only. Empty
            where no batch is at hand.
        outputs: what each node gave, at the end of a batch.
        targets: the target of each node that has one.
    """

    phase_label: str
    epoch_idx: int | None = None
    batch_idx: int | None = None
    inputs: Mapping[str, NDArray[Any]] = {}
    outputs: Mapping[str, NDArray[Any]] = {}
    targets: Mapping[str, NDArray[Any]] = {}


class Hooked:
    """What every callback has: a label and a place in the order."""

    label: str
    execution_order: int = 0

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        # A class that does not call `super().__init__` has its name nevertheless.
        if "label" not in vars(cls):
            cls.label = cls.__name__

    def __init__(self, label: str | None = None, execution_order: int = 0) -> None:
        self.label = type(self).__name__ if label is None else label
        self.execution_order = execution_order

    def state_dict(self) -> dict[str, Any] | None:
        """What has to be kept by checkpoints and archives: numbers, texts, lists, arrays and tensors.

        Without it, a callback that has attributes of its own starts anew where a run is resumed.
        """
        return None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        raise NotImplementedError(f"{type(self).__name__} has a state_dict but no load_state_dict")


class Callback(Hooked):
    """Base of what is called inside a phase: `TrainPhase(..., callbacks=[...])`, and so for other phases.

    Override the hooks that you need, with the parameters that you need: a hook is called with those of
    `experiment`, `phase`, `exec_ctx`, `results` and `exception` that its own signature names. Frozen nodes
    and the mode of modules are afterwards what they were before. What a hook returns is kept with the
    results of the phase: a `MetricResult` becomes a metric that early stopping can monitor, an
    `ArtifactResult` an artifact, anything else a payload; None is nothing. What it raises ends the run.

    Args:
        label: name of the callback, unique in its phase; by default that of its class.
        execution_order: callbacks with a lower number are called first.
    """

    def on_phase_start(self, *, experiment: Any, phase: Any, results: Any) -> object:
        """Before the phase computes anything."""

    def on_phase_end(self, *, experiment: Any, phase: Any, results: Any) -> object:
        """After the last epoch, with the weights that the phase leaves behind."""

    def on_epoch_start(
        self, *, experiment: Any, phase: Any, exec_ctx: ExecutionMoment, results: Any
    ) -> object:
        """Before the first batch of an epoch."""

    def on_epoch_end(
        self, *, experiment: Any, phase: Any, exec_ctx: ExecutionMoment, results: Any
    ) -> object:
        """After the last batch of an epoch and what is evaluated after it."""

    def on_batch_start(
        self, *, experiment: Any, phase: Any, exec_ctx: ExecutionMoment, results: Any
    ) -> object:
        """Before a batch is computed."""

    def on_batch_end(
        self, *, experiment: Any, phase: Any, exec_ctx: ExecutionMoment, results: Any
    ) -> object:
        """After a batch, and the step of the optimizer that it led to."""

    def on_exception(
        self,
        *,
        experiment: Any,
        phase: Any,
        exec_ctx: ExecutionMoment,
        exception: BaseException,
        results: Any,
    ) -> object:
        """Whatever ends the phase, which goes on."""
