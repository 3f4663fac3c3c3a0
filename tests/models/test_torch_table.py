"""The recorded classes of torch are those that are installed."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from specplan.models.torch.losses import build_loss
from specplan.models.torch.optimizers import build_optimizer
from specplan.models.torch.table import LOSSES, OPTIMIZERS


def defaults(cls: Any) -> dict[str, Any]:
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {each.name: each.default for each in parameters}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_torch(name: str) -> None:
    cls, declared = getattr(nn, name), LOSSES[name]
    known = defaults(cls)
    assert {key: known[key] for key in declared.parameters} == dict(declared.parameters)
    assert tuple(inspect.signature(cls.forward).parameters)[1:] == declared.reads
    assert callable(build_loss(f"torch.nn:{name}", declared.parameters))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_those_of_torch(name: str) -> None:
    cls, declared = getattr(torch.optim, name), OPTIMIZERS[name]
    known = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in defaults(cls).items()
    }
    assert {key: known[key] for key in declared.parameters} == dict(declared.parameters)
    weights = [nn.Parameter(torch.ones(3))]
    made = build_optimizer(f"torch.optim:{name}", declared.parameters, weights)
    assert type(made) is cls
