"""Measures of quality, computed once over all rows of an evaluated split in float64."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from specplan.components.component import Component


class OfClasses(Component, frozen=True):
    """Compares classes: the largest of several logits, or a predicted label itself."""


class OfLogits(Component, frozen=True):
    """Compares one logit with one class, 0 or 1."""


Average = Annotated[
    Literal["macro", "micro", "weighted", "binary"],
    Meta(
        description="macro: mean over the classes; weighted: mean by how many rows a class has; "
        "micro: over all rows at once; binary: of class 1."
    ),
]


class Accuracy(OfClasses, frozen=True, tag="accuracy"):
    """Share of rows whose class is right: the largest of several logits, or the predicted label itself."""


class BalancedAccuracy(OfClasses, frozen=True, tag="balanced_accuracy"):
    """Mean over the classes of the share of their rows that is right."""


class Precision(OfClasses, frozen=True, tag="precision"):
    """Share of the rows given a class that have it. A class that no row is given counts 0."""

    average: Average = "macro"


class Recall(OfClasses, frozen=True, tag="recall"):
    """Share of the rows of a class that are given it. A class that only outputs have counts 0."""

    average: Average = "macro"


class F1(OfClasses, frozen=True, tag="f1"):
    """Harmonic mean of precision and recall."""

    average: Average = "macro"


class BinaryAccuracy(OfLogits, frozen=True, tag="binary_accuracy"):
    """Share of elements whose logit lies on the right side: above the threshold for class 1."""

    threshold: Annotated[
        float, Meta(description="Logit above which an element counts as class 1.", examples=[0.5])
    ] = 0.0


class RocAuc(OfLogits, frozen=True, tag="roc_auc"):
    """Share of the pairs of a row of class 1 and one of class 0 in which the first has the greater logit.

    The area under the receiver operating characteristic; averaged over the elements of a row.
    """


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
