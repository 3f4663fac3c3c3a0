"""Losses, with the meaning and defaults of `torch.nn.functional`, reduced by the mean over the batch."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from specplan.components.component import Component, Probability


class MeanSquaredError(Component, frozen=True, tag="mse"):
    """Mean of the squared differences."""


class L1(Component, frozen=True, tag="l1"):
    """Mean of the absolute differences."""


class SmoothL1(Component, frozen=True, tag="smooth_l1"):
    """Squared below `beta`, absolute above."""

    beta: Annotated[float, Meta(ge=0, description="Where the two forms meet.", examples=[0.5])] = (
        1.0
    )


class Huber(Component, frozen=True, tag="huber"):
    """Squared below `delta`, absolute above, scaled by `delta`."""

    delta: Annotated[float, Meta(gt=0, description="Where the two forms meet.", examples=[0.5])] = (
        1.0
    )


class CrossEntropy(Component, frozen=True, tag="cross_entropy"):
    """Cross entropy between logits of shape (classes,) and an integer class of shape ()."""

    label_smoothing: Annotated[
        Probability,
        Meta(description="Share of the target that is spread over all classes.", examples=[0.1]),
    ] = 0.0


class BinaryCrossEntropyWithLogits(Component, frozen=True, tag="bce_with_logits"):
    """Binary cross entropy between logits and targets in [0, 1] of the same shape."""


class TripletMargin(Component, frozen=True, tag="triplet_margin"):
    """How much farther the first value is from the third than from the second, where that is less than `margin`."""

    margin: Annotated[
        float, Meta(gt=0, description="The distance that is far enough.", examples=[0.5])
    ] = 1.0
    p: Annotated[float, Meta(ge=1, description="Norm of the distance.", examples=[1.0])] = 2.0
    swap: Annotated[
        bool,
        Meta(
            description="Whether the second value counts as the first where it is nearer to the third."
        ),
    ] = False
