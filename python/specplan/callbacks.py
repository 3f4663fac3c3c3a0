"""What can be called inside a phase, and what it can return."""

from __future__ import annotations

from specplan.components.callback import EarlyStopping, LearningRate, ReduceOnPlateau
from specplan.objects.evaluation import EvalLossMetric, Evaluation
from specplan.run.callback import ArtifactResult, Callback, MetricResult

__all__ = [
    "ArtifactResult",
    "Callback",
    "EarlyStopping",
    "EvalLossMetric",
    "Evaluation",
    "LearningRate",
    "MetricResult",
    "ReduceOnPlateau",
]
