"""Optimizers, with the names and defaults of `torch.optim`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from specplan.components.component import Component, NonNegative

WeightDecay = Annotated[
    NonNegative, Meta(description="Factor of the weight decay.", examples=[1e-4])
]
Betas = Annotated[
    tuple[float, float],
    Meta(
        description="Decay rates of the running mean and square of the gradient.",
        examples=[[0.9, 0.98]],
    ),
]
Eps = Annotated[NonNegative, Meta(description="Added to the denominator.", examples=[1e-6])]


class SGD(Component, frozen=True, tag="sgd"):
    """Stochastic gradient descent."""

    lr: Annotated[NonNegative, Meta(description="Learning rate.", examples=[0.01])] = 1e-3
    momentum: Annotated[
        NonNegative, Meta(description="Factor of the momentum.", examples=[0.9])
    ] = 0.0
    dampening: Annotated[float, Meta(description="Damping of the momentum.", examples=[0.1])] = 0.0
    weight_decay: WeightDecay = 0.0
    nesterov: Annotated[bool, Meta(description="Whether to use Nesterov momentum.")] = False


class Adam(Component, frozen=True, tag="adam"):
    """Adam (Kingma and Ba, 2015)."""

    lr: Annotated[NonNegative, Meta(description="Learning rate.", examples=[0.001])] = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    weight_decay: WeightDecay = 0.0
    amsgrad: Annotated[bool, Meta(description="Whether to use AMSGrad.")] = False


class AdamW(Component, frozen=True, tag="adamw"):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    lr: Annotated[NonNegative, Meta(description="Learning rate.", examples=[0.001])] = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    weight_decay: WeightDecay = 1e-2
    amsgrad: Annotated[bool, Meta(description="Whether to use AMSGrad.")] = False


class RMSprop(Component, frozen=True, tag="rmsprop"):
    """RMSprop (Hinton, 2012)."""

    lr: Annotated[NonNegative, Meta(description="Learning rate.", examples=[0.01])] = 1e-2
    alpha: Annotated[
        NonNegative, Meta(description="Smoothing of the squared gradient.", examples=[0.9])
    ] = 0.99
    eps: Eps = 1e-8
    weight_decay: WeightDecay = 0.0
    momentum: Annotated[
        NonNegative, Meta(description="Factor of the momentum.", examples=[0.9])
    ] = 0.0
    centered: Annotated[
        bool, Meta(description="Whether to normalise by the estimated variance.")
    ] = False
