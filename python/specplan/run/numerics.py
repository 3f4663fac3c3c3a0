"""What decides the bits of a run besides its plan: threads, deterministic algorithms, global generators."""

from __future__ import annotations

import random
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.run.device import generators_in_use, set_generator_state
from specplan.run.mocks import mocked_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.model import Numerics


@contextmanager
def in_force(numerics: Numerics) -> Iterator[None]:
    """Set what the plan says about threads and determinism, and put back what was there before."""
    torch = _torch()
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    debug_mode = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    if numerics.threads is not None:
        torch.set_num_threads(numerics.threads)
    # `use_deterministic_algorithms` sets the same flag, and imports torch's compiler to do so.
    torch.set_deterministic_debug_mode("error" if numerics.deterministic else "default")
    # Filling fresh memory helps to find reads of uninitialised values; it costs 3 % of a small step.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        memory.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(debug_mode)
        torch.set_num_threads(threads)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Put back the states of the global generators of torch, its devices, numpy and Python at the end."""
    torch = _torch()
    python_state, numpy_state = random.getstate(), np.random.get_state()
    of_devices = {} if torch is None else generators_in_use()
    with nullcontext() if torch is None else torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            for device, state in of_devices.items():
                set_generator_state(device, state)
            np.random.set_state(numpy_state)
            random.setstate(python_state)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python, and put back their states at the end."""
    torch = _torch()
    with generators_kept():
        if torch is not None:
            torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield


def _torch() -> Any:
    """torch, where this process has it: a run that only calls code of the user may do without."""
    if "torch" not in sys.modules or "torch" in mocked_modules():
        return None
    import torch.utils.deterministic

    return torch
