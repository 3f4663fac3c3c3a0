"""Forward passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from specplan.objects.accelerator import Accelerator, accelerator_of
from specplan.objects.phase import Phase, PhaseOptions, checked_record_nodes, evaluated_split
from specplan.spec.arguments import checked_int

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.objects.binding import InputBinding
    from specplan.objects.loss import AppliedLoss
    from specplan.objects.node import GraphNode
    from specplan.objects.phase_callback import PhaseCallback
    from specplan.spec.model import RecordNodes


class EvalOptions(PhaseOptions, total=False):
    """What an EvalPhase takes by keyword."""

    batch_size: int | None
    record_nodes: RecordNodes


class EvalPhase(Phase):
    """A forward pass over a split; no weights change.

    Args:
        label: name of the phase.
        input_sources: bindings made by `InputBinding.for_evaluation`.
        losses: losses to compute.
        active_nodes: nodes that compute; by default all of them.
        batch_size: rows at a time; by default the whole split.
        record_nodes: whether the outputs of "all" nodes are recorded, or only of those that are "judged" by
            losses or that no node reads.
        callbacks: what is called inside the phase.
        accelerator: where the nodes compute, or the name of a device, but for nodes that say it themselves; by
            default on the processor.

    Raises:
        TypeError: an argument is of another type.
        ValueError: a head node has no binding, or a value is not allowed.
    """

    kind: ClassVar[str] = "eval"

    def __init__(
        self,
        label: str,
        input_sources: Sequence[InputBinding],
        losses: Sequence[AppliedLoss] | None = None,
        *,
        active_nodes: Sequence[str | GraphNode] | None = None,
        batch_size: int | None = None,
        record_nodes: RecordNodes = "all",
        callbacks: Sequence[PhaseCallback] | None = None,
        accelerator: Accelerator | str | None = None,
    ) -> None:
        self.accelerator = accelerator_of(accelerator)
        super().__init__(label, input_sources, losses or (), active_nodes, callbacks)
        self.record_nodes = checked_record_nodes(label, record_nodes)
        self.batch_size = (
            None
            if batch_size is None
            else checked_int(f"eval phase `{label}`: batch_size", batch_size, least=1)
        )

    @classmethod
    def from_split(
        cls,
        label: str,
        split: str,
        losses: Sequence[AppliedLoss] | None = None,
        **options: Unpack[EvalOptions],
    ) -> EvalPhase:
        """Bind every active head node of the active context's graph to one split; `options` are those of the class.

        Raises:
            ValueError: there is no graph, its head nodes read several FeatureSets, or as for the class.
        """
        bindings = evaluated_split(label, split, options.get("active_nodes"))
        return cls(label, bindings, losses, **options)

    def spec(self) -> dict[str, Any]:
        size = {} if self.batch_size is None else {"batch_size": self.batch_size}
        return {**self._common_spec(), **size}
