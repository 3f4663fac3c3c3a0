"""The machine that a run is on: processor, memory, GPUs, and the threads that compute on it."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from specplan.run.mocks import mocked_modules

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PROCESSORS = Path("/proc/cpuinfo")


def host() -> dict[str, Any]:
    """The machine, by name, system, processor, memory and GPUs."""
    return {
        "name": socket.gethostname(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cpu": _processor(),
        "cpus": os.cpu_count(),
        "cores": psutil.cpu_count(logical=False),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpus(),
    }


@functools.cache
def gpu_handles() -> tuple[Any, ...]:
    """The GPUs as NVIDIA's library knows them; none where it or a driver is missing."""
    if importlib.util.find_spec("pynvml") is None:
        return ()
    import pynvml

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        return tuple(pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count))
    except pynvml.NVMLError:
        return ()


@functools.cache
def gpus() -> list[dict[str, Any]]:
    """What is known of the GPUs that NVIDIA's library tells of."""
    return [_described(handle) for handle in gpu_handles()]


def gpu_answer(ask: Callable[[], T]) -> T | None:
    """What a GPU tells; None where it cannot: a part of one, as virtual machines have it, tells little."""
    import pynvml

    try:
        return ask()
    except pynvml.NVMLError:
        return None


def _described(handle: Any) -> dict[str, Any]:
    import pynvml

    memory = gpu_answer(lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).total))
    return {
        "name": gpu_answer(lambda: _text(pynvml.nvmlDeviceGetName(handle))),
        "memory_bytes": memory,
        "driver": gpu_answer(lambda: _text(pynvml.nvmlSystemGetDriverVersion())),
    }


def threads() -> dict[str, Any]:
    """What computes in how many threads, of the libraries that this process has imported."""
    found: dict[str, Any] = {}
    if _is_there("torch"):
        import torch

        found["torch"] = torch.get_num_threads()
        found["torch_between_operations"] = torch.get_num_interop_threads()
    if _is_there("threadpoolctl"):
        import threadpoolctl

        for pool in threadpoolctl.threadpool_info():
            name = pool["prefix"].removeprefix("lib")
            found[name] = pool["num_threads"]
    return found


def torch_build() -> dict[str, Any]:
    """How torch was built and what it computes with; nothing where it is not imported."""
    if not _is_there("torch"):
        return {}
    import torch

    return {
        "version": str(torch.__version__),
        "commit": torch.version.git_version,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.version.cuda else None,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "mkl": torch.backends.mkl.is_available(),
        "openmp": torch.backends.openmp.is_available(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _is_there(library: str) -> bool:
    """Whether this process has imported a library, and it is the real one."""
    mocked = {name.partition(".")[0] for name in mocked_modules()}
    return library in sys.modules and library not in mocked


def _processor() -> str:
    """The name of the processor's model, as Linux tells it, else as the platform does."""
    if _PROCESSORS.is_file():
        for line in _PROCESSORS.read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
