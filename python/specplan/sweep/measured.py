"""What a run of a sweep has measured."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from specplan.results.metrics import last_values
from specplan.results.open import Run

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder


def final_value(folder: RunFolder, metric: str) -> float | None:
    """The last value of `PHASE/METRIC`; of folds or seeds that the phase is run for, their mean.

    None where the run has none.
    """
    phase, _, name = metric.rpartition("/")
    run = Run(folder)
    alike = {
        each.path for each in run.plan.phases if phase in (each.path, each.path_without_passes)
    }
    last = last_values(run.metrics().arrow, run.run_file.kept_epochs)
    columns = (last.column(column).to_pylist() for column in ("phase", "name", "value"))
    values = [
        value
        for path, label, value in zip(*columns, strict=True)
        if (label == name and path in alike)
    ]
    return statistics.fmean(values) if values else None


def epoch_values(folder: RunFolder, metric: str) -> dict[int, float]:
    """The values of `PHASE/METRIC` after each epoch."""
    phase, _, name = metric.rpartition("/")
    rows = Run(folder).metrics().arrow
    columns = (
        rows.column(each).to_pylist() for each in ("phase", "name", "batch", "epoch", "value")
    )
    return {
        epoch: value
        for path, label, batch, epoch, value in zip(*columns, strict=True)
        if path == phase and label == name and batch is None
    }
