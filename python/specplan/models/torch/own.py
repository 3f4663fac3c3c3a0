"""Classes and functions of the user as models, losses, metrics and optimizers. Imports their code."""

from __future__ import annotations

import types
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from specplan.code.load import keywords, load, place_of
from specplan.errors import CodeError, RunError
from specplan.models.sklearn.table import decode_floats
from specplan.spec.wording import with_article

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from specplan.code.signature import Signature
    from specplan.code.source import Source

    Shape = tuple[int, ...]
    Make = Callable[..., Any]

_BASES = {"model": nn.Module, "loss": nn.Module, "optimizer": torch.optim.Optimizer}


def imported(source: Source, kind: str) -> Make:
    """The class or function, once its code ran.

    Raises:
        CodeError: it is none that a component of this kind can be.
    """
    try:
        found = load(source)
    except CodeError:
        raise
    except Exception as error:
        message = f"{place_of(error, source)}: {type(error).__name__}: {error}"
        raise CodeError("SP604", f"importing `{source.reference}` failed, {message}") from error
    base = _BASES.get(kind)
    if base is not None and isinstance(found, type) and issubclass(found, base):
        return found
    if kind in ("loss", "metric", "sampler") and isinstance(found, types.FunctionType):
        return found
    if kind in ("callback", "sampler") and isinstance(found, type):
        return found  # its base is known where it is made
    wanted = f"a subclass of `{base.__module__}.{base.__qualname__}`" if base else "a function"
    if kind == "loss":
        wanted += " or a function"
    if kind == "sampler":
        wanted = "a class or a function"
    message = f"`{source.reference}` is not {with_article(kind)}: that is {wanted}"
    raise CodeError("SP406", message)


def arguments(source: Source, signature: Signature, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a plan as keywords."""
    return keywords(source, signature, decode_floats(dict(args)))


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
