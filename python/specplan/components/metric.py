"""Measures of quality, computed once over all rows of an evaluated split in float64."""

from __future__ import annotations

from specplan.components.component import Component


class Accuracy(Component, frozen=True, tag="accuracy"):
    """Share of rows whose class is right: the largest of several logits, or the predicted label itself."""


class MeanSquaredErrorMetric(Component, frozen=True, tag="mse"):
    """Mean of the squared differences."""


class RootMeanSquaredError(Component, frozen=True, tag="rmse"):
    """Square root of the mean of the squared differences, taken for each element of a row and then averaged.

    So scikit-learn does it. For rows of several elements it is not the root of `mse`.
    """


class MeanAbsoluteError(Component, frozen=True, tag="mae"):
    """Mean of the absolute differences."""


class R2(Component, frozen=True, tag="r2"):
    """Coefficient of determination, averaged over the target's elements."""
