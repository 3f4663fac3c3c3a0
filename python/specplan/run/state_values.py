"""Values of a state as JSON beside tensors: what optimizers, generators and callbacks keep."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor

_TAG = "$"


def pack(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """`value` as what JSON can say; each tensor in it goes to `tensors`, under its path below `name`.

    Numbers come back with all their bits, tuples as tuples, keys of mappings with their types.

    Raises:
        RunError: something in it is neither a number, text, tensor or array nor made of them.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, list):
        return _packed(value, tensors, name)
    if isinstance(value, tuple):
        return {"$tuple": _packed(value, tensors, name)}
    if isinstance(value, np.generic):
        return pack(value.item(), tensors, name)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {
            "$array": _packed(value.ravel().tolist(), tensors, name),
            "dtype": value.dtype.name,
            "shape": list(value.shape),
        }
    if isinstance(value, Mapping):
        return _packed_mapping(value, tensors, name)
    import torch

    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach()
        return {"$tensor": name}
    raise RunError(f"`{name}` is a {type(value).__name__}, which cannot be stored without pickle")


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `pack` was given. Tensors are those of `tensors`."""
    if isinstance(value, list):
        return [unpack(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    if "$float" in value:
        return float(value["$float"])
    if "$tuple" in value:
        return tuple(unpack(each, tensors) for each in value["$tuple"])
    if "$array" in value:
        flat = [unpack(each, tensors) for each in value["$array"]]
        return np.array(flat, value["dtype"]).reshape(value["shape"])
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$items" in value:
        return {unpack(key, tensors): unpack(each, tensors) for key, each in value["$items"]}
    return {key: unpack(each, tensors) for key, each in value.items()}


def copied(value: Any) -> Any:
    """A copy of all of `value` that `pack` takes and that can change; the rest stays as it is."""
    if isinstance(value, Mapping):
        return {key: copied(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(map(copied, value))
    if isinstance(value, np.ndarray):
        return value.copy()
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return value
    import torch

    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def encode(value: Any) -> bytes:
    """What `pack` gave as JSON."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _packed(values: Any, tensors: dict[str, Tensor], name: str) -> list[Any]:
    return [pack(value, tensors, f"{name}.{index}") for index, value in enumerate(values)]


def _packed_mapping(value: Mapping[Any, Any], tensors: dict[str, Tensor], name: str) -> Any:
    if all(isinstance(key, str) and not key.startswith(_TAG) for key in value):
        return {key: pack(each, tensors, f"{name}.{key}") for key, each in value.items()}
    return {
        "$items": [
            [pack(key, tensors, f"{name}.key"), pack(each, tensors, f"{name}.{key}")]
            for key, each in value.items()
        ]
    }
