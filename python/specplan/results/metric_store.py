"""The metrics and losses of one phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.results.scalar_series import LossRecord, LossSeries, MetricEntry, MetricSeries

if TYPE_CHECKING:
    import pyarrow as pa

    from specplan.plan.model import Phase
    from specplan.results.open import Run
    from specplan.results.table import Table


class MetricStore:
    """The scalars of one phase, read from its run folder. They are always recorded."""

    def __init__(self, run: Run, path: str) -> None:
        self._run = run
        self._path = path

    @property
    def names(self) -> list[str]:
        """Names of the metrics, in the order in which they first occur."""
        from specplan.results.metrics import labels_of

        return labels_of(self._rows().arrow, "name")

    def entries(self, name: str | None = None) -> MetricSeries:
        """All values, or those of one metric, by (name, epoch, batch).

        Raises:
            RunError: the phase is over and has no such metric.
        """
        return _entries(self._run.metrics(name, phase=self._path).arrow)

    def losses(self, phase: Phase, node: str | None) -> LossSeries:
        """The losses of a phase in each batch, by (epoch, batch, label); of one node or of all."""
        from specplan.plan.model import Train
        from specplan.results.metrics import of_batches

        trains = isinstance(phase, Train)
        chosen = {loss.label: loss for loss in phase.losses if node in (None, loss.node)}
        entries = _entries(of_batches(self._rows().arrow, chosen))
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
        return self._rows().num_rows

    def __repr__(self) -> str:
        return f"MetricStore({self._path}: {', '.join(self.names) or 'nothing'})"

    def _rows(self) -> Table:
        return self._run.metrics(phase=self._path)


def _entries(rows: pa.Table) -> MetricSeries:
    columns = ("name", "epoch", "batch", "value", "node", "split")
    values = zip(*(rows.column(name).to_pylist() for name in columns), strict=True)
    return MetricSeries(
        ("name", "epoch", "batch"),
        {
            (name, epoch, batch): MetricEntry(
                name=name,
                value=value,
                epoch_idx=epoch,
                batch_idx=batch,
                node=node,
                split=split,
            )
            for name, epoch, batch, value, node, split in values
        },
    )
