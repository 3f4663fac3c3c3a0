"""The device on which the torch nodes of a run compute."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from specplan.errors import RunError

if TYPE_CHECKING:
    import torch

    from specplan.plan.model import Plan

CPU = "cpu"
_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""With it cuBLAS gives the same bits again. It has to be said before cuBLAS is used for the first time."""


def device_of(plan: Plan) -> str:
    """The device of this machine that a plan asks for. Asks torch for anything but the processor.

    Raises:
        RunError: this machine has none of that name.
    """
    wanted = plan.numerics.device
    if wanted == CPU or not plan.graph.nodes:
        return CPU
    from specplan.models.torch.device import devices

    known = devices()
    if plan.numerics.deterministic and known[0].startswith("cuda"):
        os.environ.setdefault(*_WORKSPACE)
    if wanted == "auto":
        return known[0]
    index = {"cuda": "cuda:0"}.get(wanted, wanted)
    if index not in known:
        raise RunError(
            f"SP668: this machine has no device `{wanted}`, which the plan says; it has: {', '.join(known)}\n"
            "hint: `run: {device: auto}` takes what there is, `-c run.device=cpu` the processor"
        )
    return index


def generator_state(device: str) -> torch.Tensor | None:
    """That of the generator of a device; None for the processor, whose generator is torch's global one."""
    if device == CPU:
        return None
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device == "mps" else None


def set_generator_state(device: str, state: torch.Tensor | None) -> None:
    """Bring back what `generator_state` gave."""
    import torch

    if state is None:
        return
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(state, device)
    elif device == "mps":
        torch.mps.set_rng_state(state)


def generators_in_use() -> dict[str, torch.Tensor]:
    """The states of the generators of all devices that this process has used, by device."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_initialized() else 0
    devices = [f"cuda:{index}" for index in range(count)]
    if torch.backends.mps.is_available():
        devices.append("mps")
    found = {device: generator_state(device) for device in devices}
    return {device: state for device, state in found.items() if state is not None}
