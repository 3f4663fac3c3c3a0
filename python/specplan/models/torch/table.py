"""What is recorded of the losses of `torch.nn` and the optimizers of `torch.optim`. Imports no torch.

A spec names them `torch.nn:KLDivLoss` and `torch.optim:Adagrad`, with their arguments beside; those that
have a short name, such as `mse` and `adam`, are components of their own. A test compares the tables with
the torch that is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULES: Mapping[str, str] = {"loss": "torch.nn", "optimizer": "torch.optim"}
"""Where the classes of each kind are."""


class TorchClass(msgspec.Struct, frozen=True):
    """One class.

    Attributes:
        parameters: each parameter that a spec can set, with its default; a loss has no `weight`, which a spec
            has for all losses.
        reads: what a loss is called with, in order.
        targets: whether a loss takes classes, or values of the type of the outputs.
    """

    parameters: Mapping[str, Any]
    reads: tuple[str, ...] = ()
    targets: Literal["values", "classes"] = "values"


def _loss(
    *reads: str, targets: Literal["values", "classes"] = "values", **parameters: Any
) -> TorchClass:
    parameters["reduction"] = "mean"
    return TorchClass(parameters, reads or ("input", "target"), targets)


def _optimizer(**parameters: Any) -> TorchClass:
    return TorchClass({**parameters, "maximize": False})


_BETAS = [0.9, 0.999]

LOSSES: Mapping[str, TorchClass] = {
    "BCELoss": _loss(),
    "BCEWithLogitsLoss": _loss(),
    "CosineEmbeddingLoss": _loss("input1", "input2", "target", margin=0.0),
    "CrossEntropyLoss": _loss(targets="classes", ignore_index=-100, label_smoothing=0.0),
    "GaussianNLLLoss": _loss("input", "target", "var", full=False, eps=1e-6),
    "HingeEmbeddingLoss": _loss(margin=1.0),
    "HuberLoss": _loss(delta=1.0),
    "KLDivLoss": _loss(log_target=False),
    "L1Loss": _loss(),
    "MSELoss": _loss(),
    "MarginRankingLoss": _loss("input1", "input2", "target", margin=0.0),
    "MultiLabelMarginLoss": _loss(targets="classes"),
    "MultiLabelSoftMarginLoss": _loss(),
    "MultiMarginLoss": _loss(targets="classes", p=1, margin=1.0),
    "NLLLoss": _loss(targets="classes", ignore_index=-100),
    "PoissonNLLLoss": _loss("log_input", "target", log_input=True, full=False, eps=1e-8),
    "SmoothL1Loss": _loss(beta=1.0),
    "SoftMarginLoss": _loss(),
    "TripletMarginLoss": _loss(
        "anchor", "positive", "negative", margin=1.0, p=2.0, eps=1e-6, swap=False
    ),
}

OPTIMIZERS: Mapping[str, TorchClass] = {
    "ASGD": _optimizer(lr=0.01, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0),
    "Adadelta": _optimizer(lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0),
    "Adafactor": _optimizer(lr=0.01, beta2_decay=-0.8, eps=[None, 0.001], d=1.0, weight_decay=0.0),
    "Adagrad": _optimizer(
        lr=0.01, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10
    ),
    "Adam": _optimizer(
        lr=0.001,
        betas=_BETAS,
        eps=1e-8,
        weight_decay=0.0,
        amsgrad=False,
        decoupled_weight_decay=False,
    ),
    "AdamW": _optimizer(lr=0.001, betas=_BETAS, eps=1e-8, weight_decay=0.01, amsgrad=False),
    "Adamax": _optimizer(lr=0.002, betas=_BETAS, eps=1e-8, weight_decay=0.0),
    "NAdam": _optimizer(
        lr=0.002,
        betas=_BETAS,
        eps=1e-8,
        weight_decay=0.0,
        momentum_decay=0.004,
        decoupled_weight_decay=False,
    ),
    "RAdam": _optimizer(
        lr=0.001, betas=_BETAS, eps=1e-8, weight_decay=0.0, decoupled_weight_decay=False
    ),
    "RMSprop": _optimizer(
        lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False
    ),
    "Rprop": _optimizer(lr=0.01, etas=[0.5, 1.2], step_sizes=[1e-6, 50.0]),
    "SGD": _optimizer(lr=0.001, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False),
}


def torch_class(kind: str, use: str) -> TorchClass | None:
    """The class that `use` means; None for anything else."""
    module, _, name = use.partition(":")
    if module != MODULES.get(kind):
        return None
    return (LOSSES if kind == "loss" else OPTIMIZERS).get(name)
