"""What happens between the epochs of a train phase."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from specplan.components.component import Component, Positive


class Evaluation(Component, frozen=True, tag="evaluation"):
    """Evaluate another split after an epoch; records `<as>_loss` and `<as>_<loss or metric label>`."""

    split: Annotated[str, Meta(description="Split to evaluate.", examples=["val"])]
    losses: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="Labels of the losses; by default those of the phase.", examples=[["mse"]]
        ),
    ] = None
    metrics: Annotated[
        tuple[str, ...], Meta(description="Labels of metrics to compute.", examples=[["rmse"]])
    ] = ()
    every_n_epochs: Annotated[
        Positive, Meta(description="Epochs between two evaluations.", examples=[5])
    ] = 1
    as_: Annotated[
        str | None,
        Meta(
            description="First part of the names of what is recorded; by default the split's name.",
            examples=["val"],
        ),
    ] = msgspec.field(name="as", default=None)
    batch_size: Annotated[
        Positive | None,
        Meta(description="Rows at a time; by default the whole split.", examples=[256]),
    ] = None


class EarlyStopping(Component, frozen=True, tag="early_stopping"):
    """Stop a train phase once a metric has not improved for `patience` epochs."""

    monitor: Annotated[
        str, Meta(description="Name of a metric that each epoch produces.", examples=["val_loss"])
    ] = "val_loss"
    mode: Annotated[Literal["min", "max"], Meta(description="Which direction is better.")] = "min"
    patience: Annotated[
        Positive, Meta(description="Epochs without improvement after which to stop.", examples=[10])
    ] = 5
    min_delta: Annotated[
        float,
        Meta(ge=0, description="Smallest change that counts as an improvement.", examples=[1e-4]),
    ] = 0.0
    restore_best: Annotated[
        bool, Meta(description="Whether the weights of the best epoch are put back at the end.")
    ] = False
