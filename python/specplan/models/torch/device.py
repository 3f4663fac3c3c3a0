"""The devices of this machine, as torch knows them."""

from __future__ import annotations

import torch


def devices() -> list[str]:
    """Those on which torch can compute here, the fastest kind first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [*cuda, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def is_available(device: str) -> bool:
    """Whether torch can compute on a device, `cuda`, `cuda:N` or `mps`."""
    kind, _, index = device.partition(":")
    if kind == "mps":
        return torch.backends.mps.is_available()
    return torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count()
