"""What happens between the epochs of a train phase."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from specplan.components.component import Component, NonNegative, Positive


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
    run_on_start: Annotated[
        bool, Meta(description="Whether to evaluate before the first epoch too.")
    ] = False
    record: Annotated[
        Literal["all", "none"],
        Meta(description="Whether outputs and targets of the evaluated rows are recorded."),
    ] = "none"
    means: Annotated[
        dict[str, str],
        Meta(
            description="More series: by name, the label of the loss of which it is the weighted mean. "
            "One that is called `<as>_loss` takes the place of the sum of the losses.",
            examples=[{"val_score": "mse"}],
        ),
    ] = {}
    sums: Annotated[
        dict[str, str],
        Meta(
            description="As `means`, with the sum over the batches instead of the mean.",
            examples=[{"val_total": "mse"}],
        ),
    ] = {}


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
    reducer: Annotated[
        Literal["last", "first", "mean", "min", "max", "sum"],
        Meta(description="Which value counts where a callback gives several in an epoch."),
    ] = "last"
    required: Annotated[
        bool,
        Meta(
            description="Whether some epoch has to produce the metric. Where it is missing, nothing has improved."
        ),
    ] = True


class LearningRate(Component, frozen=True, tag="learning_rate"):
    """Change the learning rate from step to step: a factor of that of the optimizer, which the phase ends with.

    The factor is a function of the number of the step, so a resumed run goes on with the same one.
    """

    schedule: Annotated[
        Literal["constant", "linear", "cosine", "exponential", "step", "multi_step", "one_cycle"],
        Meta(
            description="How the factor goes from 1 to `final`, falls by `gamma`, or rises to 1 and falls in one cycle."
        ),
    ] = "constant"
    warmup: Annotated[
        int, Meta(ge=0, description="First steps in which the factor rises to 1.", examples=[100])
    ] = 0
    final: Annotated[
        NonNegative,
        Meta(description="Factor of the last step, of linear and cosine.", examples=[0.1]),
    ] = 0.0
    gamma: Annotated[
        NonNegative,
        Meta(
            description="Factor between epochs, of exponential, step and multi_step.",
            examples=[0.5],
        ),
    ] = 0.1
    every_n_epochs: Annotated[
        Positive, Meta(description="Epochs between two falls, of step.", examples=[10])
    ] = 1
    milestones: Annotated[
        tuple[Positive, ...],
        Meta(
            description="Numbers of epochs after which the factor falls, of multi_step.",
            examples=[[30, 80]],
        ),
    ] = ()
    pct_start: Annotated[
        float,
        Meta(
            gt=0,
            lt=1,
            description="Part of one_cycle in which the factor rises to 1.",
            examples=[0.2],
        ),
    ] = 0.3
    div_factor: Annotated[
        float,
        Meta(
            gt=0,
            description="What the rate of one_cycle is divided by in the first step.",
            examples=[10.0],
        ),
    ] = 25.0
    final_div_factor: Annotated[
        float,
        Meta(
            gt=0,
            description="What the first rate of one_cycle is divided by in the last step.",
            examples=[100.0],
        ),
    ] = 1e4
    anneal_strategy: Annotated[
        Literal["cos", "linear"], Meta(description="How one_cycle goes from rate to rate.")
    ] = "cos"
    cycle_momentum: Annotated[
        bool,
        Meta(
            description="Whether the momentum, of Adam and its kin the first beta, falls in one_cycle while the rate rises, and rises again, as in torch's OneCycleLR by default."
        ),
    ] = False
    base_momentum: Annotated[
        float,
        Meta(ge=0, lt=1, description="Momentum where the rate is highest.", examples=[0.8]),
    ] = 0.85
    max_momentum: Annotated[
        float,
        Meta(ge=0, lt=1, description="Momentum of the first and the last step.", examples=[0.9]),
    ] = 0.95


class ReduceOnPlateau(Component, frozen=True, tag="reduce_on_plateau"):
    """Multiply the learning rate by `factor` once a metric has not improved for more than `patience` epochs.

    Only epochs that produce the metric count. The phase ends with the rate of the optimizer.
    """

    monitor: Annotated[
        str, Meta(description="Name of a metric that epochs produce.", examples=["val_loss"])
    ] = "val_loss"
    mode: Annotated[Literal["min", "max"], Meta(description="Which direction is better.")] = "min"
    factor: Annotated[
        float, Meta(gt=0, lt=1, description="What the rate is multiplied by.", examples=[0.5])
    ] = 0.1
    patience: Annotated[
        int,
        Meta(ge=0, description="Epochs without improvement that change nothing.", examples=[5]),
    ] = 10
    threshold: Annotated[
        NonNegative,
        Meta(description="Smallest change that counts as an improvement.", examples=[1e-3]),
    ] = 1e-4
    threshold_mode: Annotated[
        Literal["rel", "abs"],
        Meta(description="Whether `threshold` is a part of the best value, or a difference to it."),
    ] = "rel"
    cooldown: Annotated[
        int,
        Meta(ge=0, description="Epochs after a change in which none is counted.", examples=[2]),
    ] = 0
    min_lr: Annotated[NonNegative, Meta(description="Smallest rate.", examples=[1e-6])] = 0.0
    eps: Annotated[
        NonNegative,
        Meta(description="Changes of the rate that are not larger are not made.", examples=[1e-9]),
    ] = 1e-8
