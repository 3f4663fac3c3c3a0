"""What a phase left behind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specplan.data.context import active_context
from specplan.errors import RunError
from specplan.objects.node import GraphNode, nodes_of
from specplan.objects.source_rows import feature_set, source_views, unscaler
from specplan.results.artifact_store import ArtifactStore
from specplan.results.execution_store import (
    JOINED,
    Batch,
    ExecutionStore,
    checked_format,
    formatted,
)
from specplan.results.html import html_table
from specplan.results.metric_store import MetricStore
from specplan.results.table import cell_text
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.data.feature_set_view import FeatureSetView
    from specplan.objects.callback_results import CallbackSeries, EarlyStoppingResult
    from specplan.plan.model import Phase
    from specplan.results.artifact_store import ArtifactSeries
    from specplan.results.execution_store import BatchSeries, ExecutionSeries, TensorSeries
    from specplan.results.open import Run
    from specplan.results.scalar_series import LossSeries, MetricSeries
    from specplan.store.run_file import PhaseTiming, Status


class PhaseResults:
    """The records of one phase of a run, read from its run folder when asked for.

    Nodes are named by their label, or given as they are.

    Attributes:
        path: labels of the groups around the phase and its own, joined by dots.
        run: the run that the phase was part of.
        metric_store, artifact_store, execution_store: its scalars, its artifacts, and what it recorded
            of each batch.
    """

    kind: ClassVar[str]

    def __init__(self, run: Run, path: str) -> None:
        self.path = path
        self.run = run
        self.metric_store = MetricStore(run, path)
        self.artifact_store = ArtifactStore(run, path)
        self.execution_store = ExecutionStore(run, path)

    @property
    def label(self) -> str:
        """Label of the phase."""
        return self.path.rpartition(".")[2]

    @property
    def phase(self) -> Phase:
        """The phase as it was planned."""
        return self.execution_store.phase

    @property
    def timing(self) -> PhaseTiming | None:
        """When the phase ran and how it ended; None where it did not begin."""
        # A session that resumed the run may have begun it anew.
        return next((each for each in reversed(self.run.phases) if each.path == self.path), None)

    @property
    def status(self) -> Status | None:
        """How the phase stands; None where it did not begin."""
        return None if self.timing is None else self.timing.status

    def execution_contexts(self) -> ExecutionSeries:
        """The recorded batches, by (epoch, batch)."""
        return self.execution_store.contexts()

    def tensors(
        self,
        node: str | GraphNode,
        domain: str = "outputs",
        *,
        role: str = "default",
        fmt: str | None = None,
        unscale: bool = False,
    ) -> TensorSeries:
        """One value of a node, by (epoch, batch); each of shape (rows, *shape).

        "sample_uuids", "tags" and unscaling read the FeatureSet of the active context, the rest the run alone.

        Args:
            node: the node, or its label.
            domain: "outputs", "targets", "sample_ids", the numbers of the rows in their FeatureSet,
                "sample_uuids" or "tags".
            role: role of the sample, of phases that read several at once.
            fmt: "numpy", which aliases the files and is the default, "torch", or another of a FeatureSet.
            unscale: whether to take back the scalers of the node's target.

        Raises:
            RunError: the run has no such node, the value was not recorded, or the FeatureSet is not there.
            ValueError: there is no such domain or format, or nothing to unscale.
        """
        label, store = self._label_of(node), self.execution_store
        if domain in ("tags", "sample_uuids"):
            source = feature_set(self.run, store.sources_of(label)[0])
            ids = store.tensors(label, "sample_ids", role=role, fmt=None)
            if domain == "tags":
                return ids.mapped(lambda rows: source.take(rows).get_tags(fmt or "numpy"))
            return ids.mapped(lambda rows: formatted(source.uuids[rows], fmt, domain))
        if not unscale:
            return store.tensors(label, domain, role=role, fmt=fmt)
        take_back = unscaler(self.run, self.path, label, domain)
        scaled = store.tensors(label, domain, role=role, fmt=None)
        return scaled.mapped(lambda rows: formatted(take_back(rows), fmt, domain))

    def source_views(
        self,
        node: str | GraphNode,
        *,
        role: str = "default",
        epoch: int | None = None,
        batch: int | None = None,
    ) -> dict[str, FeatureSetView]:
        """The rows that went through a node, each once, as views of the FeatureSets of the active context.

        Args:
            node: the node, or its label.
            role: role of the sample.
            epoch: only those of this epoch; `batch`: only those of batches with this number.

        Raises:
            RunError: nothing was recorded, or a FeatureSet is not in the active context.
        """
        return source_views(
            self.run,
            self.execution_store,
            self._label_of(node),
            role=role,
            epoch=epoch,
            batch=batch,
        )

    def source_view(
        self,
        node: str | GraphNode,
        *,
        role: str = "default",
        epoch: int | None = None,
        batch: int | None = None,
    ) -> FeatureSetView:
        """As `source_views`, of a node that is computed from one FeatureSet.

        Raises:
            ValueError: it is computed from several.
        """
        views = self.source_views(node, role=role, epoch=epoch, batch=batch)
        if len(views) != 1:
            raise ValueError(f"the node is computed from {quoted(views)}; ask for source_views")
        return next(iter(views.values()))

    def batches(self, node: str | GraphNode) -> BatchSeries:
        """What went through a node, by (epoch, batch).

        Raises:
            RunError: the run has no such node, or its outputs were not recorded.
        """
        return self.execution_store.batches(self._label_of(node))

    def losses(self, node: str | GraphNode | None = None) -> LossSeries:
        """The losses of a node in each batch, by (epoch, batch, label); of all nodes for None.

        They are scalars, and there whatever the phase records.

        Raises:
            RunError: the run has no such node.
        """
        return self.execution_store.losses(None if node is None else self._label_of(node))

    def metrics(self, name: str | None = None) -> MetricSeries:
        """The logged values by (name, epoch, batch); a batch of None means the whole epoch or phase.

        Raises:
            RunError: the run is over and the phase has no metric of this name.
        """
        return self.metric_store.entries(name)

    def metric_names(self) -> list[str]:
        """Names of the metrics, in the order in which they first occur."""
        return self.metric_store.names

    def artifacts(self) -> ArtifactSeries:
        """What was kept by name, by (name, epoch, batch)."""
        return self.artifact_store.entries()

    def artifact_names(self) -> list[str]:
        """Names of the artifacts, in the order in which they first occur."""
        return self.artifact_store.names

    def callbacks(self, *, kind: str | None = None) -> CallbackSeries:
        """What callbacks left behind, by (kind, label, epoch, batch, edge).

        Args:
            kind: only "metric", "artifact", "payload", "evaluation" or "early_stopping".

        Raises:
            ValueError: there is no such kind.
        """
        from specplan.objects.callback_results import callbacks_of

        return callbacks_of(self, kind)

    def summary(self) -> dict[str, str]:
        """The phase in a few words by heading, as its repr shows them."""
        seconds = None if self.timing is None else self.timing.seconds
        return {
            "phase": self.path,
            "kind": self.kind,
            "status": "not run" if self.status is None else self.status.value,
            "took": "" if seconds is None else f"{seconds:.2f} s",
            "recorded": self._recorded(),
            "last metrics": ", ".join(
                f"{name} {cell_text(value)}" for name, value in self._last().items()
            ),
        }

    def _last(self) -> dict[str, float]:
        """The last value of each metric of a whole epoch, or that of the epoch that was restored."""
        last = self.run.metric_table(phase=self.path).last(self.run.run_file.kept_epochs)
        return {row["name"]: row["value"] for row in last.rows()}

    def _recorded(self) -> str:
        count = len(self.execution_contexts())
        return f"{count} batch{'' if count == 1 else 'es'}"

    def _label_of(self, node: str | GraphNode) -> str:
        if isinstance(node, GraphNode):
            return node.label
        nodes = self.run.plan.graph.nodes
        if node in nodes:
            return node
        for known in nodes_of(active_context()):
            if node == known.id:
                return known.label
        raise RunError(f"the run has no node `{node}`; it has: {choices(node, nodes)}")

    def _repr_html_(self) -> str:
        said = self.summary()
        return html_table(said.pop("phase"), list(said), [list(said.values())])

    def __repr__(self) -> str:
        said = self.summary()
        phase = said.pop("phase")
        del said["kind"]
        return (
            f"{type(self).__name__}({phase}: {', '.join(text for text in said.values() if text)})"
        )


class TrainResults(PhaseResults):
    """The records of a train phase."""

    kind = "train"

    @property
    def epoch_indices(self) -> list[int]:
        """The epochs that were run, from 0."""
        rows = self.run.metric_table(phase=self.path).rows()
        return sorted({row["epoch"] for row in rows} - {None})

    @property
    def n_epochs(self) -> int:
        """How many epochs were run."""
        return len(self.epoch_indices)

    @property
    def last_epoch(self) -> int | None:
        """The epoch whose weights the phase left behind: the last, or the best that was restored."""
        return self.run.run_file.kept_epochs.get(self.path)

    def best_epoch(
        self, metric: str = "val_loss", direction: Literal["min", "max"] = "min"
    ) -> int | None:
        """The epoch, from 0, in which a metric of whole epochs was best; the first of several, None of no epoch.

        Raises:
            ValueError: the phase has no such metric, or the direction is neither.
        """
        if direction not in ("min", "max"):
            raise ValueError(f"direction is `min` or `max`, not {direction!r}")
        if metric not in self.metric_names():
            known = choices(metric, self.metric_names())
            raise ValueError(f"phase `{self.path}` has no metric `{metric}`; it has: {known}")
        entries = self.metrics(metric).where(batch=None, epoch=lambda epoch: epoch is not None)
        measured = [entry for entry in entries.values() if not math.isnan(entry.value)]
        chosen = min if direction == "min" else max
        best = chosen(measured, key=lambda entry: entry.value, default=None)
        return None if best is None else best.epoch_idx

    @property
    def early_stopping_result(self) -> EarlyStoppingResult | None:
        """What early stopping did to the phase; None where it had none."""
        found = self.callbacks(kind="early_stopping").values()
        return found[0] if found else None

    def _recorded(self) -> str:
        epochs = f"{self.n_epochs} epoch{'' if self.n_epochs == 1 else 's'}"
        return f"{epochs}, {super()._recorded()}"


class OnePassResults(PhaseResults):
    """The records of a phase that reads its rows once."""

    @property
    def batch_indices(self) -> list[int]:
        """The recorded batches, from 0."""
        return sorted(self.execution_contexts().axis_values("batch"))

    @property
    def n_batches(self) -> int:
        """How many batches were recorded."""
        return len(self.batch_indices)

    def stacked_tensors(
        self,
        node: str | GraphNode,
        domain: str = "outputs",
        *,
        role: str = "default",
        fmt: str | None = None,
        unscale: bool = False,
    ) -> Any:
        """As `tensors`, all batches in one: shape (all rows, *shape)."""
        joins = checked_format(fmt) in JOINED
        series = self.tensors(node, domain, role=role, fmt=fmt if joins else None, unscale=unscale)
        return series.stacked() if joins else formatted(series.stacked(), fmt, domain)

    def stacked_batches(self, node: str | GraphNode) -> Batch:
        """As `batches`, all of them in one."""
        targets = self.batches(node).first().targets
        return Batch(
            outputs=self.stacked_tensors(node),
            targets=None if targets is None else self.stacked_tensors(node, "targets"),
            sample_ids=self.stacked_tensors(node, "sample_ids"),
        )

    def aggregated_losses(
        self, node: str | GraphNode, *, reducer: Literal["mean", "sum"] = "mean"
    ) -> dict[str, float]:
        """The losses of a node over all batches, each batch counted once, by label.

        The rows-weighted mean of the phase is the metric of the same name.

        Raises:
            RunError: the run has no such node.
            ValueError: there is no such reducer.
        """
        losses = self.losses(node)
        if not len(losses):
            return {}
        reduced = losses.collapse("epoch", "first").collapse("batch", reducer)
        return {label: record.value for label, record in reduced.items()}


class EvalResults(OnePassResults):
    """The records of an eval phase."""

    kind = "eval"


class FitResults(OnePassResults):
    """The records of a fit phase."""

    kind = "fit"


class CallResults(PhaseResults):
    """What a call of a function left behind."""

    kind = "call"


_CLASSES: Mapping[str, type[PhaseResults]] = {
    each.kind: each for each in (TrainResults, EvalResults, FitResults, CallResults)
}


def results_of(run: Run, path: str) -> PhaseResults:
    """The results of one phase of a run.

    Raises:
        RunError: the run has no such phase.
    """
    planned = {phase.path: phase for phase in run.plan.phases}
    if path not in planned:
        raise RunError(f"the run has no phase `{path}`; it has {choices(path, planned)}")
    return _CLASSES[str(planned[path].__struct_config__.tag)](run, path)
