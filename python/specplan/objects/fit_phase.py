"""Fitting of scikit-learn nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from specplan.objects.accelerator import Accelerator, accelerator_of
from specplan.objects.phase import Phase, PhaseOptions, evaluated_split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.objects.binding import InputBinding
    from specplan.objects.loss import AppliedLoss
    from specplan.objects.node import GraphNode
    from specplan.objects.phase_callback import PhaseCallback


class FitOptions(PhaseOptions, total=False):
    """What a FitPhase takes by keyword."""

    freeze_after_fit: bool


class FitPhase(Phase):
    """Fitting of scikit-learn nodes on a whole split at once, in the order of the graph.

    Args:
        label: name of the phase.
        input_sources: bindings made by `InputBinding.for_evaluation`.
        losses: losses to compute once the nodes are fitted.
        active_nodes: nodes that are fitted; by default all that can be.
        freeze_after_fit: whether the fitted nodes are frozen then: later phases of the call leave them as they
            are, and after it train phases that do not name them in `active_nodes`.
        callbacks: what is called inside the phase.
        accelerator: where the nodes compute, or the name of a device, but for nodes that say it themselves; by
            default on the processor.

    Raises:
        TypeError: an argument is of another type.
        ValueError: a head node has no binding.
    """

    kind: ClassVar[str] = "fit"

    def __init__(
        self,
        label: str,
        input_sources: Sequence[InputBinding],
        losses: Sequence[AppliedLoss] | None = None,
        *,
        active_nodes: Sequence[str | GraphNode] | None = None,
        freeze_after_fit: bool = True,
        callbacks: Sequence[PhaseCallback] | None = None,
        accelerator: Accelerator | str | None = None,
    ) -> None:
        self.accelerator = accelerator_of(accelerator)
        super().__init__(label, input_sources, losses or (), active_nodes, callbacks)
        self.freeze_after_fit = freeze_after_fit

    @classmethod
    def from_split(
        cls,
        label: str,
        split: str,
        losses: Sequence[AppliedLoss] | None = None,
        **options: Unpack[FitOptions],
    ) -> FitPhase:
        """Bind every active head node of the active context's graph to one split; `options` are those of the class.

        Raises:
            ValueError: there is no graph, its head nodes read several FeatureSets, or as for the class.
        """
        bindings = evaluated_split(label, split, options.get("active_nodes"))
        return cls(label, bindings, losses, **options)

    def spec(self) -> dict[str, Any]:
        return {**self._common_spec(), "freeze_after_fit": self.freeze_after_fit}
