"""A torch module as its class and arguments, from which the same one can be made. Weights are not part of it."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from specplan.code.named_class import arguments_of, class_named, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUILT_IN = "torch.nn"
_NOT_ARGUMENTS = ("self", "device", "dtype", "mode")


def described(module: nn.Module) -> dict[str, Any]:
    """The class of a module, and the arguments that make one of the same form.

    Raises:
        ValueError: they cannot be found out; the message goes on from the module's name.
    """
    found: dict[str, Any] = json.loads(json.dumps(_described(module)))
    with torch.random.fork_rng(devices=[]):
        again = _made(found, allow_import=False)
    if repr(again) != repr(module) or _shapes(again) != _shapes(module):
        raise ValueError(
            f"is not what its class makes of the arguments {found.get('arguments', {})}; keep each "
            "argument of the class in an attribute of its name, or use a TorchModelWrapper"
        )
    return found


def made(found: Mapping[str, Any], *, allow_import: bool) -> nn.Module:
    """A module of which `described` was asked, with new weights.

    Raises:
        ValueError: its class is not known here, or does not take the arguments.
    """
    with torch.random.fork_rng(devices=[]):
        return _made(found, allow_import=allow_import)


def module_class(use: str, *, allow_import: bool) -> type[nn.Module]:
    """The class of modules that `module:Class` names.

    Raises:
        ValueError: the program has not imported its module, or it is no such class.
    """
    module, _, name = use.partition(":")
    if module != _BUILT_IN:
        return class_named(use, nn.Module, allow_import=allow_import)
    found = getattr(nn, name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"`{use}` is no module of torch {torch.__version__}")
    return found


def _described(module: nn.Module) -> dict[str, Any]:
    cls = type(module)
    if cls is nn.Sequential:
        children = [[name, _described(child)] for name, child in module.named_children()]
        return {"class": f"{_BUILT_IN}:Sequential", "children": children}
    if cls.__module__.startswith(f"{_BUILT_IN}.modules."):
        return {"class": f"{_BUILT_IN}:{cls.__name__}", "arguments": _built_in_arguments(module)}
    return {"class": name_of(cls), "arguments": arguments_of(module)}


def _built_in_arguments(module: nn.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    # Recurrent modules pass on what they are given.
    cls = nn.RNNBase if isinstance(module, nn.RNNBase) else type(module)
    for name in inspect.signature(cls.__init__).parameters:
        if name in _NOT_ARGUMENTS or not hasattr(module, name):
            continue
        value = getattr(module, name)
        if name == "bias" and not isinstance(value, bool):
            value = value is not None
        found[name] = value
    return arguments_of(module, found)


def _made(found: Mapping[str, Any], *, allow_import: bool) -> nn.Module:
    use = str(found["class"])
    if "children" in found:
        made = nn.Sequential()
        for name, child in found["children"]:
            made.add_module(name, _made(child, allow_import=allow_import))
        return made
    cls = module_class(use, allow_import=allow_import)
    try:
        built: nn.Module = cls(**found["arguments"])
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"`{use}` does not take {found['arguments']}: {error}") from error
    return built


def _shapes(module: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in module.state_dict().items()}
