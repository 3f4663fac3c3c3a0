"""Models, losses and optimizers that a Python program holds: told apart, tried on a few rows, and made.

A module is never changed: what is run, here and in a run, is a copy of it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from blake3 import blake3
from torch import nn
from torch.nn.parameter import UninitializedParameter

from specplan.code.fingerprint import digest_of, meaning, type_of
from specplan.code.probe import Failed, Gave, failed
from specplan.errors import CodeError, RunError
from specplan.models.torch.own import has_lazy_layers
from specplan.models.torch.probe import row_shape
from specplan.models.torch.wrapper import TorchModelWrapper

if TYPE_CHECKING:
    from collections.abc import Iterable

    Shape = tuple[int, ...]


def fingerprint(value: Any) -> str:
    """The digest of a module's structure, code, weights and buffers; of anything else, `digest_of`."""
    if isinstance(value, TorchModelWrapper):
        made = value.model if value.model is not None else value.model_class
        return digest_of([fingerprint(made), meaning(value.meaning())])
    if not isinstance(value, nn.Module):
        return digest_of(value)
    parts = [[name, part.extra_repr(), meaning(type(part))] for name, part in value.named_modules()]
    state = [
        [name, str(held.dtype), list(held.shape), _bytes(held)]
        if isinstance(held, torch.Tensor)
        else name
        for name, held in value.state_dict().items()
    ]
    fixed = [name for name, parameter in value.named_parameters() if not parameter.requires_grad]
    return digest_of([parts, state, fixed])


def _bytes(held: torch.Tensor) -> str:
    if isinstance(held, UninitializedParameter):
        return ""
    flat = held.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return blake3(flat.numpy().data).hexdigest()


def made(value: Any, input_shape: Shape, output_shape: Shape | None) -> nn.Module:
    """A module of its own: a copy of one, or what a class or wrapper makes, with torch's global generator."""
    if isinstance(value, nn.Module):
        return copy.deepcopy(value)
    if isinstance(value, TorchModelWrapper):
        return value.made(input_shape, output_shape)
    module: nn.Module = value()
    return module


def given_shape(value: Any, input_shape: Shape, output_shape: Shape | None) -> Shape:
    """Shape of one row that a model gives.

    Raises:
        ValueError: it fails, or gives rows of another shape than the one that is expected.
    """
    answer = probed(value, input_shape, output_shape)
    if isinstance(answer, Failed):
        raise ValueError(answer.message)
    gave, _ = answer
    if output_shape is not None and gave.shape != output_shape:
        raise ValueError(f"the model gives rows of shape {gave.shape}, not {output_shape}")
    return gave.shape


def optimizer(value: Any, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """What a function or class makes of `parameters`.

    Raises:
        RunError: it is no optimizer.
    """
    found = value(parameters)
    if not isinstance(found, torch.optim.Optimizer):
        message = f"`{type_of(value)}` made {type(found).__name__}, not a torch.optim.Optimizer"
        raise RunError(message)
    return found


def dtype_of(module: nn.Module) -> torch.dtype:
    """What a module computes in: the type of its first floating parameter, float32 without one."""
    return next(
        (each.dtype for each in module.parameters() if each.is_floating_point()), torch.float32
    )


def probed(value: Any, input_shape: Shape, output_shape: Shape | None) -> tuple[Gave, str] | Failed:
    """What a model gives for a few rows of a shape, and the item type that it reads and gives.

    Neither the model nor a generator of random numbers is changed.
    """
    name, stage = type_of(value).rpartition(":")[2], "__init__"
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            module = made(value, input_shape, output_shape)
            if has_lazy_layers(module):
                return failed(name, "has lazy layers; give them their sizes")
            stage, dtype = "forward", dtype_of(module)
            shapes = {
                row_shape(
                    name, module.train(mode), torch.randn(rows, *input_shape, dtype=dtype), dtype
                )
                for mode, rows in ((False, 2), (False, 3), (True, 3))
            }
    except CodeError as error:
        return Failed(code=error.code, message=error.message)
    except Exception as error:  # noqa: BLE001 -- whatever the code raises is the answer
        return failed(name, f"failed in {stage}, {type(error).__name__}: {error}")
    if len(shapes) > 1:
        return failed(name, f"gives rows of different shapes: {sorted(shapes)}")
    size = sum(each.numel() for each in module.parameters())
    return Gave(shape=shapes.pop(), parameters=size), str(dtype).removeprefix("torch.")
