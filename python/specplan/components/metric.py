"""Measures of quality, computed once over all rows of an evaluated split in float64."""

from __future__ import annotations

from specplan.components.component import Component


class Accuracy(Component, tag="accuracy"):
    """Share of rows whose class is right: the largest of several logits, or the predicted label itself."""


class MeanSquaredErrorMetric(Component, tag="mse"):
    """Mean of the squared differences."""


class RootMeanSquaredError(Component, tag="rmse"):
    """Square root of the mean of the squared differences."""


class MeanAbsoluteError(Component, tag="mae"):
    """Mean of the absolute differences."""


class R2(Component, tag="r2"):
    """Coefficient of determination, averaged over the target's elements."""
