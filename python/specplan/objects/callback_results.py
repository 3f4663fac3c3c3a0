"""What the callbacks of a phase left behind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.objects.phase_results import OnePassResults
from specplan.plan.model import Train
from specplan.results.axis_series import AxisSeries, Key
from specplan.results.execution_store import ExecutionStore
from specplan.results.scalar_series import LossRecord, LossSeries
from specplan.spec.wording import choices
from specplan.store.recorder import WHOLE
from specplan.store.run_file import BestEpoch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.objects.node import GraphNode
    from specplan.objects.phase_results import PhaseResults
    from specplan.plan.model import EarlyStopping, Evaluation

KINDS = ("metric", "artifact", "payload", "evaluation", "early_stopping")
AXES = ("kind", "label", "epoch", "batch", "edge")
EPOCH_END, PHASE_END = "epoch_end", "phase_end"


class CallbackResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one hook returned.

    Attributes:
        kind: metric, artifact or payload.
        callback_label: label of the callback.
        epoch_idx, batch_idx: where it was called; None at the boundary of a phase or epoch.
        edge: which hook: phase_start, epoch_start, batch_start, batch_end, epoch_end or phase_end.
        name: name of the metric or artifact; empty for a payload.
        recorded: what the records say: the number, the name of the artifact, or the payload.
    """

    kind: Literal["metric", "artifact", "payload"]
    callback_label: str
    epoch_idx: int | None
    batch_idx: int | None
    edge: str
    name: str
    recorded: Any
    phase: PhaseResults

    @property
    def value(self) -> Any:
        """The number, the artifact as it was stored, or the payload.

        Raises:
            StoreError: the file of the artifact is gone, or is not what was written.
        """
        match self.kind, self.recorded:
            case "artifact", str() as name:
                return self._artifact(name)
            case "payload", {"artifact": str() as name}:
                return self._artifact(name)
        return self.recorded

    def _artifact(self, name: str) -> Any:
        versions = self.phase.run.artifacts.versions(name)
        here = [
            each
            for each in versions
            if (each.epoch, each.batch) == (self.epoch_idx, self.batch_idx)
        ]
        return (here or versions)[-1].read()

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"CallbackResult({self.kind}{name} of {self.callback_label}, epoch={self.epoch_idx}, {self.edge})"


class EvaluationResult(OnePassResults):
    """What one evaluation between epochs measured and recorded: read as the results of an eval phase.

    Attributes:
        callback_label: name of the evaluation.
        epoch_idx: the epoch after which it ran; None before the first.
    """

    kind = "evaluation"

    def __init__(self, phase: PhaseResults, planned: Evaluation, epoch: int | None) -> None:
        super().__init__(phase.run, phase.path)
        self.execution_store = ExecutionStore(
            phase.run,
            phase.path,
            evaluation=planned.name,
            epoch=WHOLE if epoch is None else epoch,
        )
        self.callback_label = planned.name
        self.epoch_idx = epoch
        self._evaluation = planned

    @property
    def eval_results(self) -> EvaluationResult:
        """The same results."""
        return self

    def losses(self, node: str | GraphNode | None = None) -> LossSeries:
        """The losses over all rows, as batch 0, by (epoch, batch, label)."""
        label_of = {f"{self.callback_label}_{loss.label}": loss for loss in self._evaluation.losses}
        wanted = None if node is None else self._label_of(node)
        entries = self.metrics().where(name=label_of, epoch=self.epoch_idx, batch=None)
        return LossSeries(
            ("epoch", "batch", "label"),
            {
                (epoch, 0, label_of[name].label): LossRecord(
                    label=label_of[name].label,
                    node=label_of[name].node,
                    value=entry.value * label_of[name].weight,
                    trains=False,
                )
                for (name, epoch, _), entry in entries.items()
                if wanted in (None, label_of[name].node)
            },
        )

    def __repr__(self) -> str:
        return f"EvaluationResult({self.path}: {self.callback_label} after epoch {self.epoch_idx})"


class EarlyStoppingResult(msgspec.Struct, frozen=True, kw_only=True):
    """What early stopping did to a train phase.

    Attributes:
        callback_label: the metric that was watched.
        best_epoch, best_value: where the metric was best, and how good; None where it was not measured.
        stopped_epoch: the last epoch that was run, where more were planned; None where all were.
        restored: whether the weights of the best epoch were put back.
    """

    callback_label: str
    best_epoch: int | None
    best_value: float | None
    stopped_epoch: int | None
    restored: bool


class CallbackSeries(AxisSeries[Any]):
    """What callbacks left behind, by (kind, label, epoch, batch, edge)."""


def callbacks_of(phase: PhaseResults, kind: str | None) -> CallbackSeries:
    """Everything that the callbacks of a phase left behind, or one kind of it.

    Raises:
        ValueError: there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"there is no kind `{kind}`; known: {choices(kind, KINDS)}")
    entries: dict[Key, Any] = {}
    for each in _returned(phase):
        place: Key = (each.kind, each.callback_label, each.epoch_idx, each.batch_idx, each.edge)
        entries[place] = each
    planned = phase.phase
    if isinstance(planned, Train):
        for evaluation in planned.evaluations:
            for epoch in _epochs_of(phase, evaluation):
                place = ("evaluation", evaluation.name, epoch, None, EPOCH_END)
                entries[place] = EvaluationResult(phase, evaluation, epoch)
        if planned.early_stopping is not None and phase.metrics().axis_values("epoch"):
            stopped = _stopped(phase, planned.early_stopping, planned.epochs)
            place = ("early_stopping", stopped.callback_label, None, None, PHASE_END)
            entries[place] = stopped
    series = CallbackSeries(AXES, entries)
    return series if kind is None else series.where(kind=kind)


def _returned(phase: PhaseResults) -> Iterator[CallbackResult]:
    for row in phase.run.returned(phase.path):
        yield CallbackResult(
            kind=row["kind"],
            callback_label=row["label"],
            epoch_idx=row["epoch"],
            batch_idx=row["batch"],
            edge=row["edge"],
            name=row.get("name", ""),
            recorded=row["value"],
            phase=phase,
        )


def _epochs_of(phase: PhaseResults, evaluation: Evaluation) -> list[int | None]:
    """The epochs after which an evaluation was run; None where it ran before the first."""
    measured = phase.metrics().where(name=evaluation.measured, batch=None).axis_values("epoch")
    store = ExecutionStore(phase.run, phase.path, evaluation=evaluation.name)
    recorded = [None if epoch < 0 else epoch for epoch in store.contexts().axis_values("epoch")]
    return list(dict.fromkeys([*measured, *recorded]))


def _stopped(phase: PhaseResults, rule: EarlyStopping, planned: int) -> EarlyStoppingResult:
    decided = [each.best for each in phase.run.run_file.phases if each.path == phase.path]
    best = next(filter(None, decided), None) or _replayed(phase, rule)
    value = best.value
    if value is None and best.epoch is not None:
        value = math.inf if rule.mode == "max" else -math.inf
    last = max(epoch for epoch in phase.metrics().axis_values("epoch") if epoch is not None)
    kept = phase.run.run_file.kept_epochs.get(phase.path, last)
    return EarlyStoppingResult(
        callback_label=rule.monitor,
        best_epoch=best.epoch,
        best_value=value,
        stopped_epoch=last if last + 1 < planned else None,
        restored=rule.restore_best and kept != last,
    )


def _replayed(phase: PhaseResults, rule: EarlyStopping) -> BestEpoch:
    """What early stopping has decided in a run that does not say so, as far as its metrics tell."""
    sign = -1.0 if rule.mode == "max" else 1.0
    found, best = BestEpoch(), math.inf
    for (_, epoch, _), entry in phase.metrics(rule.monitor).where(batch=None).items():
        if sign * entry.value < best - rule.min_delta:
            best = sign * entry.value
            found = BestEpoch(epoch=epoch, value=entry.value)
    return found
