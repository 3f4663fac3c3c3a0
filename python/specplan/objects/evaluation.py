"""Evaluation between the epochs of a train phase."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

from specplan.data.context import checked_label
from specplan.objects.eval_phase import EvalPhase
from specplan.objects.loss import AppliedLoss
from specplan.spec.arguments import checked_list, written
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.objects.node import GraphNode

_REDUCERS = {"mean": "means", "sum": "sums"}


class EvalLossMetric:
    """A loss of an evaluation as a metric of the train phase, under a name of its own.

    Args:
        loss: what is computed on the evaluated rows.
        reducer: "mean" over the rows, or "sum" over the batches.
        name: name of the metric.

    Raises:
        TypeError: `loss` is no AppliedLoss.
        ValueError: the name is reserved or not valid, or there is no such reducer.
    """

    def __init__(
        self,
        loss: AppliedLoss,
        reducer: Literal["mean", "sum"] = "mean",
        name: str = "val_loss",
    ) -> None:
        if not isinstance(loss, AppliedLoss):
            raise TypeError(f"the loss of a metric is an AppliedLoss, not {type(loss).__name__}")
        if reducer not in _REDUCERS:
            raise ValueError(f"`{reducer}` is no reducer; known: {quoted(_REDUCERS)}")
        if name == "train_loss":
            raise ValueError("`train_loss` is the name of the loss that is trained; choose another")
        self.loss = loss
        self.reducer = reducer
        self.name = checked_label(name)

    def __repr__(self) -> str:
        return f"EvalLossMetric({self.loss!r}, reducer={self.reducer!r}, name={self.name!r})"


class Evaluation:
    """Run an eval phase after some epochs; records `<name>_loss` and `<name>_<loss label>`.

    Args:
        eval_phase: what is evaluated. It needs a split.
        every_n_epochs: epochs between two evaluations: after epochs n - 1, 2n - 1 and so on.
        run_on_start: whether it is run before the first epoch too.
        label: unique in the train phase; by default `name`, then the label of `eval_phase`.
        metrics: losses that are metrics of the train phase under names of their own.
        name: first part of the names of what is recorded; by default the label of the split.

    Raises:
        TypeError: an argument is of another type.
        ValueError: the phase has no split or has callbacks, or a value is not allowed.
    """

    def __init__(
        self,
        eval_phase: EvalPhase,
        *,
        every_n_epochs: int = 1,
        run_on_start: bool = False,
        label: str | None = None,
        metrics: Sequence[EvalLossMetric] | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(eval_phase, EvalPhase):
            raise TypeError(f"eval_phase is an EvalPhase, not {type(eval_phase).__name__}")
        if eval_phase.split is None:
            raise ValueError(
                f"an Evaluation needs a split, and `{eval_phase.label}` reads all rows"
            )
        if eval_phase.callbacks:
            raise ValueError(f"`{eval_phase.label}` has callbacks, which an Evaluation cannot call")
        self.eval_phase = eval_phase
        self.label = label or name or eval_phase.label
        self.metrics = [
            _checked_metric(metric)
            for metric in checked_list(f"Evaluation `{self.label}`: metrics", metrics or ())
        ]
        prefix = name or eval_phase.split
        self.losses = list(eval_phase.losses)
        series: dict[str, dict[str, str]] = {"means": {}, "sums": {}}
        for metric in self.metrics:
            series[_REDUCERS[metric.reducer]][metric.name] = self._loss_of(metric, prefix).label
        self.component = written(
            "callback",
            "evaluation",
            {
                "split": eval_phase.split,
                "losses": [loss.label for loss in self.losses],
                "every_n_epochs": every_n_epochs,
                "as": name,
                "batch_size": eval_phase.batch_size,
                "run_on_start": run_on_start,
                "record": "all",
                **series,
            },
        )

    @classmethod
    def from_split(
        cls,
        label: str,
        split: str,
        losses: Sequence[AppliedLoss] | None = None,
        *,
        active_nodes: Sequence[str | GraphNode] | None = None,
        batch_size: int | None = None,
        every_n_epochs: int = 1,
        run_on_start: bool = False,
        metrics: Sequence[EvalLossMetric] | None = None,
    ) -> Evaluation:
        """Evaluate a split with every active head node of the active context's graph.

        Raises:
            ValueError: there is no graph, its head nodes read several FeatureSets, or as for the class.
        """
        eval_phase = EvalPhase.from_split(
            label, split, losses, active_nodes=active_nodes, batch_size=batch_size
        )
        return cls(
            eval_phase,
            every_n_epochs=every_n_epochs,
            run_on_start=run_on_start,
            label=label,
            metrics=metrics,
        )

    def spec(self) -> dict[str, Any]:
        """The evaluation as an entry of `callbacks` in a spec."""
        return dict(self.component)

    def _loss_of(self, metric: EvalLossMetric, prefix: str) -> AppliedLoss:
        """The loss of a metric among those that are evaluated; it is added where it is not."""
        meaning = metric.loss.spec()
        for loss in self.losses:
            if loss.spec() == meaning:
                return loss
        # Under a label of its own: the train phase may have another loss of the same label.
        added = copy.copy(metric.loss)
        added.label = f"{metric.loss.label}_{prefix}"
        self.losses.append(added)
        return added

    def __repr__(self) -> str:
        return f"Evaluation({self.eval_phase!r}, every_n_epochs={self.component['every_n_epochs']})"


def _checked_metric(metric: object) -> EvalLossMetric:
    if not isinstance(metric, EvalLossMetric):
        raise TypeError(
            f"a metric of an Evaluation is an EvalLossMetric, not {type(metric).__name__}"
        )
    return metric
