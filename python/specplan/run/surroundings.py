"""What decides the bits of a run besides its plan and its data."""

from __future__ import annotations

import platform
import sys

from specplan.run.environment import versions


def surroundings() -> dict[str, str]:
    """Versions, threads and instruction sets that are in force in this process, by name."""
    found = {**versions(), "machine": platform.machine()}
    if "torch" in sys.modules:
        import torch

        found["threads"] = str(torch.get_num_threads())
        found["CPU capability"] = torch.backends.cpu.get_cpu_capability()
    return found


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not as it was, one line each."""
    missing = "none"
    return [
        f"{name}: {then.get(name, missing)} then, {now.get(name, missing)} now"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
