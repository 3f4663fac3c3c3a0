"""Which runs of a sweep are ended before their last epoch."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from specplan.components.component import Component, Positive


class Median(Component, frozen=True, tag="median"):
    """End a run whose best value so far is worse than the median of the others at the same epoch."""

    n_startup_trials: Annotated[
        int, Meta(ge=0, description="Runs that have to be over before one is ended.", examples=[3])
    ] = 5
    n_warmup_steps: Annotated[
        int,
        Meta(ge=0, description="Epochs after which the first comparison is made.", examples=[3]),
    ] = 0
    interval_steps: Annotated[
        Positive, Meta(description="Epochs between two comparisons.", examples=[5])
    ] = 1


class SuccessiveHalving(Component, frozen=True, tag="successive_halving"):
    """End all but the best part of the runs at epochs that lie further and further apart."""

    min_resource: Annotated[
        Positive, Meta(description="Epochs that every run is given.", examples=[3])
    ] = 1
    reduction_factor: Annotated[
        int, Meta(ge=2, description="Of so many runs one goes on.", examples=[3])
    ] = 4
    min_early_stopping_rate: Annotated[
        int, Meta(ge=0, description="How often the first comparison is put off.", examples=[1])
    ] = 0


class Hyperband(Component, frozen=True, tag="hyperband"):
    """Several successive halvings, which differ in how early they compare."""

    min_resource: Annotated[
        Positive, Meta(description="Epochs that every run is given.", examples=[3])
    ] = 1
    max_resource: Annotated[
        Positive | None,
        Meta(description="Epochs of a whole run; by default those of the first.", examples=[30]),
    ] = None
    reduction_factor: Annotated[
        int, Meta(ge=2, description="Of so many runs one goes on.", examples=[4])
    ] = 3
