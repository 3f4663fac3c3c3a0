"""The metrics and losses of one phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.results.scalar_series import LossRecord, LossSeries, MetricEntry, MetricSeries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from specplan._native import MetricTable
    from specplan.plan.model import Phase
    from specplan.results.open import Run


class MetricStore:
    """The scalars of one phase, read from its run folder. They are always recorded."""

    def __init__(self, run: Run, path: str) -> None:
        self._run = run
        self._path = path

    @property
    def names(self) -> list[str]:
        """Names of the metrics, in the order in which they first occur."""
        return self._logged().labels("name")

    def entries(self, name: str | None = None) -> MetricSeries:
        """All values, or those of one metric, by (name, epoch, batch).

        Raises:
            RunError: the phase is over and has no such metric.
        """
        return _entries(self._run.metric_table(name, self._path).rows())

    def losses(self, phase: Phase, node: str | None) -> LossSeries:
        """The losses of a phase in each batch, by (epoch, batch, label); of one node or of all."""
        from specplan.plan.model import Train

        trains = isinstance(phase, Train)
        chosen = {loss.label: loss for loss in phase.losses if node in (None, loss.node)}
        rows = self._logged().rows()
        of_batches = (row for row in rows if row["batch"] is not None)
        entries = _entries(row for row in of_batches if row["name"] in chosen)
        return LossSeries(
            ("epoch", "batch", "label"),
            {
                (epoch, batch, label): LossRecord(
                    label=label,
                    node=chosen[label].node,
                    value=entry.value * chosen[label].weight,
                    trains=trains,
                )
                for (label, epoch, batch), entry in entries.items()
            },
        )

    def __len__(self) -> int:
        return len(self._logged())

    def __repr__(self) -> str:
        return f"MetricStore({self._path}: {', '.join(self.names) or 'nothing'})"

    def _logged(self) -> MetricTable:
        return self._run.metric_table(phase=self._path)


def _entries(rows: Iterable[Mapping[str, Any]]) -> MetricSeries:
    axes = ("name", "epoch", "batch")
    return MetricSeries(
        axes,
        {
            tuple(row[axis] for axis in axes): MetricEntry(
                name=row["name"],
                value=row["value"],
                epoch_idx=row["epoch"],
                batch_idx=row["batch"],
                node=row["node"],
                split=row["split"],
            )
            for row in rows
        },
    )
