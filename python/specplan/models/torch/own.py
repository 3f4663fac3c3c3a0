"""Classes and functions of the user as models, merges, losses, metrics and optimizers. Imports their code."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from specplan.errors import RunError
from specplan.models import own

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from specplan.code.source import Source
    from specplan.components import Kind

    Shape = tuple[int, ...]
    Make = Callable[..., Any]

_BASES: Mapping[Kind, type] = {
    "model": nn.Module,
    "loss": nn.Module,
    "optimizer": torch.optim.Optimizer,
    "merge": nn.Module,
}


def imported(source: Source, kind: Kind) -> Make:
    """The class or function, once its code ran.

    Raises:
        CodeError: it is none that a component of this kind can be.
    """
    return own.imported(source, kind, _BASES.get(kind))


def has_lazy_layers(module: nn.Module) -> bool:
    """Whether the sizes of some weights are known only after a first batch: an optimizer cannot have them before."""
    return any(isinstance(each, UninitializedParameter) for each in module.parameters())


def own_loss(
    make: Make, given: Mapping[str, Any], name: str, *, averages: bool = False
) -> Callable[..., Tensor]:
    """The loss; what it returns is checked to be one number, or its mean taken where it `averages`.

    `name` is what errors call it.
    """
    function = make(**given) if isinstance(make, type) else partial(make, **given)

    def loss(*values: Tensor) -> Tensor:
        value = function(*values)
        if not isinstance(value, Tensor) or (value.shape != () and not averages):
            raise RunError(f"{name} returned {described(value)}, not a tensor of shape ()")
        return value if value.ndim == 0 else value.mean()

    return loss


def own_metric(
    make: Make, given: Mapping[str, Any], name: str
) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """The metric; what it returns is checked to be one number."""
    function = partial(make, **given)

    def metric(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        value = function(outputs, targets)
        if isinstance(value, bool) or np.ndim(value) != 0 or not np.isreal(value):
            raise RunError(f"{name} returned {described(value)}, not a number")
        return float(value)

    return metric


def rows_of(shape: Shape, name: str) -> Callable[[Any, int], None]:
    """A check that a model gives one float32 row of `shape` for each row that it reads."""

    def check(outputs: Any, rows: int) -> None:
        right = isinstance(outputs, Tensor) and outputs.shape == (rows, *shape)
        if not right or outputs.dtype is not torch.float32:
            wanted = (rows, *shape)
            raise RunError(
                f"{name} gave {described(outputs)} for {rows} rows, "
                f"the plan says float32 of shape {wanted}"
            )

    return check


def described(value: object) -> str:
    """What a value is, in words."""
    if isinstance(value, Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{dtype} of shape {tuple(value.shape)}"
    return f"an object of type `{type(value).__name__}`"
