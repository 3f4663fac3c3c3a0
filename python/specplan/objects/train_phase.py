"""Gradient training."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, get_args

from specplan.base.amounts import count
from specplan.components.callback import EarlyStopping, LearningRate, ReduceOnPlateau
from specplan.objects.accelerator import Accelerator, accelerator_of
from specplan.objects.binding import InputBinding
from specplan.objects.checkpointing import Checkpointing, checked_checkpointing
from specplan.objects.evaluation import Evaluation
from specplan.objects.node import ModelNode, learns_in_batches
from specplan.objects.phase import Phase, PhaseOptions, checked_record_nodes, split_heads
from specplan.spec.arguments import checked_int
from specplan.spec.model import BatchSchedule
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from specplan.objects.graph import ModelGraph
    from specplan.objects.loss import AppliedLoss
    from specplan.objects.node import GraphNode
    from specplan.objects.phase_callback import PhaseCallback
    from specplan.samplers import Sampler
    from specplan.spec.model import RecordNodes


class ResultRecording(enum.StrEnum):
    """Which batches of a train phase are recorded. Metrics always are."""

    ALL = "all"
    LAST = "last"
    NONE = "none"


class TrainOptions(PhaseOptions, total=False):
    """What a TrainPhase takes by keyword."""

    accumulate: int
    batch_schedule: str
    checkpointing: Checkpointing | None
    result_recording: ResultRecording | str
    record_nodes: RecordNodes


class TrainPhase(Phase):
    """Gradient training in batches.

    Args:
        label: name of the phase.
        input_sources: bindings made by `InputBinding.for_training`.
        losses: the losses whose weighted sum is minimised; at least one.
        n_epochs: number of passes over the rows.
        accumulate: batches whose gradients are added up, and divided by their number, before the weights
            change; the last ones of an epoch may be fewer.
        active_nodes: nodes that are trained; by default those that the losses need.
        batch_schedule: how batches of bindings that are not read together make steps: "zip_strict" and
            "zip_cycle" have one of each in a step, "alternate_strict" and "alternate_cycle" one of them
            after the other; strict ends with the shortest, cycle begins shorter ones again.
        callbacks: each a Callback, an Evaluation, an EarlyStopping, a LearningRate or a
            ReduceOnPlateau.
        checkpointing: when the state is put aside while the phase goes on.
        result_recording: "all", "last" or "none": which batches keep their outputs and targets.
        record_nodes: whether the outputs of "all" nodes are recorded, or only of those that are "judged" by
            losses.
        accelerator: where the nodes compute, or the name of a device, but for nodes that say it themselves; by
            default on the processor.

    Raises:
        TypeError: an argument is of another type.
        ValueError: no losses, less than one epoch, a binding without a sampler, a head node without
            a binding, or a value that is not allowed.
    """

    kind: ClassVar[str] = "train"
    built_in: ClassVar[tuple[type, ...]] = (
        Evaluation,
        EarlyStopping,
        LearningRate,
        ReduceOnPlateau,
    )

    def __init__(  # noqa: PLR0913 -- as documented
        self,
        label: str,
        *,
        input_sources: Sequence[InputBinding],
        losses: Sequence[AppliedLoss],
        n_epochs: int = 1,
        accumulate: int = 1,
        active_nodes: Sequence[str | GraphNode] | None = None,
        batch_schedule: str = "zip_strict",
        callbacks: Sequence[PhaseCallback] | None = None,
        checkpointing: Checkpointing | None = None,
        result_recording: ResultRecording | str = ResultRecording.ALL,
        record_nodes: RecordNodes = "all",
        accelerator: Accelerator | str | None = None,
    ) -> None:
        self.accelerator = accelerator_of(accelerator)
        if not losses:
            raise ValueError(f"train phase `{label}` needs at least one loss")
        super().__init__(label, input_sources, losses, active_nodes, callbacks)
        self._check_samplers()
        self.batch_schedule = _schedule(label, batch_schedule)
        self.n_epochs = checked_int(f"train phase `{label}`: n_epochs", n_epochs, least=1)
        self.accumulate = checked_int(f"train phase `{label}`: accumulate", accumulate, least=1)
        self.checkpointing = checked_checkpointing(checkpointing, "train phase")
        self.result_recording = _recording(result_recording)
        self.record_nodes = checked_record_nodes(label, record_nodes)

    @classmethod
    def from_split(
        cls,
        label: str,
        split: str,
        sampler: Sampler | Callable[..., Any],
        losses: Sequence[AppliedLoss],
        n_epochs: int = 1,
        **options: Unpack[TrainOptions],
    ) -> TrainPhase:
        """Bind every active head node of the active context's graph to one split; `options` are those of the class.

        Raises:
            ValueError: there is no graph, its head nodes read several FeatureSets, or as for the class.
        """
        heads = split_heads(label, options.get("active_nodes"))
        bindings = [InputBinding.for_training(node, sampler, split=split) for node in heads]
        return cls(label, input_sources=bindings, losses=losses, n_epochs=n_epochs, **options)

    @property
    def evaluations(self) -> list[Evaluation]:
        """The callbacks that evaluate."""
        return [callback for callback in self.callbacks if isinstance(callback, Evaluation)]

    def spec(self) -> dict[str, Any]:
        return {
            "callbacks": [],
            **self._common_spec(),
            **self._inputs_spec(),
            "epochs": self.n_epochs,
            **({"accumulate": self.accumulate} if self.accumulate > 1 else {}),
            "record": str(self.result_recording),
        }

    def describe(self) -> str:
        """The phase and its epochs in a few words."""
        return f"{super().describe()}: {count(self.n_epochs, 'epoch')}"

    def check_graph(self, graph: ModelGraph) -> None:
        """Check that the graph can be trained so, beside what all phases check.

        Raises:
            ValueError: as for all phases.
            RuntimeError: torch and scikit-learn nodes would be trained together by one optimizer.
        """
        super().check_graph(graph)
        if graph.optimizer is None:
            return
        labels = self.active_nodes or [loss.node.label for loss in self.losses]
        named = [graph.nodes[label] for label in labels if label in graph.nodes]
        learning = [node.label for node in named if learns_in_batches(node)]
        trained = [
            node.label
            for start in named
            for node in (start.before if self.active_nodes is None else (start,))
            if isinstance(node, ModelNode) and node.backend == "torch"
        ]
        if learning and trained:
            raise RuntimeError(
                f"train phase `{self.label}` trains {quoted(dict.fromkeys(trained))} by the optimizer of the "
                f"graph and {quoted(learning)} of scikit-learn; give each torch node its own optimizer and the "
                "graph none, or train them in two phases"
            )

    def _check_sources_agree(self) -> None:
        """Bindings may read different rows: how their batches make steps is said by the schedule."""

    def _check_samplers(self) -> None:
        for binding in self.input_sources:
            if binding.sampler is None:
                raise ValueError(
                    f"train phase `{self.label}`: the binding of `{binding.node.label}` has no sampler; "
                    "make it with InputBinding.for_training"
                )

    def _inputs_spec(self) -> dict[str, Any]:
        first = self.input_sources[0]
        if all(binding.reads_with(first) for binding in self.input_sources):
            assert first.sampler is not None
            return {"sampler": dict(first.sampler.component)}
        inputs = [binding.spec() for binding in self.input_sources]
        return {"inputs": inputs, "batch_schedule": self.batch_schedule}


def _schedule(label: str, schedule: str) -> str:
    known = get_args(BatchSchedule)
    if schedule not in known:
        raise ValueError(
            f"train phase `{label}`: batch_schedule is {quoted(known)}, not `{schedule}`"
        )
    return schedule


def _recording(mode: ResultRecording | str) -> ResultRecording:
    try:
        return ResultRecording(mode)
    except ValueError:
        raise ValueError(f"result_recording is {quoted(ResultRecording)}, not `{mode}`") from None
