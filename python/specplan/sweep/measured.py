"""What a run of a sweep has measured."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

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
    values = [
        row["value"] for row in run.last_metrics() if row["name"] == name and row["phase"] in alike
    ]
    return statistics.fmean(values) if values else None


def epoch_values(folder: RunFolder, metric: str) -> dict[int, float]:
    """The values of `PHASE/METRIC` after each epoch."""
    phase, _, name = metric.rpartition("/")
    found = Run(folder).metric_rows().select("phase", phase).select("name", name)
    return {row["epoch"]: row["value"] for row in found.rows() if row["batch"] is None}
