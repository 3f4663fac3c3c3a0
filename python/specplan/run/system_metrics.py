"""Processor, memory, disk, network and GPU while a run goes on, as metrics with names `system/...`."""

from __future__ import annotations

import itertools
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil

from specplan.run.hardware import gpu_answer, gpu_handles
from specplan.store.recorder import SYSTEM, WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from specplan.store.recorder import Recorder

_LOG = logging.getLogger(__name__)


@contextmanager
def sampled(recorder: Recorder, folder: Path, seconds: float | None) -> Iterator[None]:
    """Sample every so many seconds, and once at the end; not at all for None.

    Args:
        recorder: of the run; the series belong to no phase.
        folder: of the run; its disk is looked at.
        seconds: between two samples.
    """
    if seconds is None:
        yield
        return
    sampling = Sampling(recorder, folder, seconds)
    try:
        yield
    finally:
        sampling.close()


class Sampling:
    """A thread that samples until it is closed. It fails no run: what it cannot do it says once in the log."""

    def __init__(self, recorder: Recorder, folder: Path, seconds: float) -> None:
        self._recorder = recorder
        self._folder = folder
        self._seconds = seconds
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="system metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Sample a last time, and end the thread."""
        self._is_over.set()
        self._thread.join()

    def _go_on(self) -> None:
        try:
            self._sample_until_over()
        except Exception as error:  # noqa: BLE001 -- of a driver or a disk: what the run needs it tells itself
            _LOG.warning("the system is sampled no more: %s: %s", type(error).__name__, error)

    def _sample_until_over(self) -> None:
        gpus = [_of_gpu(*each) for each in enumerate(gpu_handles())]
        sources = [_of_machine(), _of_process(), _of_disk(self._folder), *gpus]
        log: Callable[..., int] | None = None
        for step in itertools.count():
            is_last = self._is_over.wait(self._seconds)
            found = {name: value for source in sources for name, value in source().items()}
            if log is None:
                series = [(None, None, f"{SYSTEM}{name}") for name in found]
                log = self._recorder.series("", series)
            log([*found.values()], WHOLE, WHOLE, step)
            if is_last:
                return


def _of_machine() -> Callable[[], dict[str, float]]:
    psutil.cpu_percent(None)  # counts from here on

    def sample() -> dict[str, float]:
        memory, network = psutil.virtual_memory(), psutil.net_io_counters()
        return {
            "cpu_percent": psutil.cpu_percent(None),
            "memory_percent": memory.percent,
            "memory_available_bytes": memory.available,
            "network_sent_bytes": network.bytes_sent,
            "network_received_bytes": network.bytes_recv,
        }

    return sample


def _of_process() -> Callable[[], dict[str, float]]:
    process = psutil.Process()
    process.cpu_percent(None)

    def sample() -> dict[str, float]:
        with process.oneshot():
            return {
                "process_cpu_percent": process.cpu_percent(None),
                "process_memory_bytes": process.memory_info().rss,
                "process_threads": process.num_threads(),
            }

    return sample


def _of_disk(folder: Path) -> Callable[[], dict[str, float]]:
    def sample() -> dict[str, float]:
        disk = psutil.disk_usage(str(folder))
        found = {"disk_free_bytes": disk.free, "disk_percent": disk.percent}
        if counters := psutil.disk_io_counters():
            found |= {
                "disk_read_bytes": counters.read_bytes,
                "disk_written_bytes": counters.write_bytes,
            }
        return found

    return sample


def _of_gpu(index: int, handle: Any) -> Callable[[], dict[str, float]]:
    """What the GPU tells when it is asked for the first time."""
    import pynvml

    possible: dict[str, Callable[[], float]] = {
        "percent": lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "memory_used_bytes": lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used,
        "watts": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "celsius": lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
    }
    told = {
        f"gpu{index}_{name}": ask for name, ask in possible.items() if gpu_answer(ask) is not None
    }
    return lambda: {name: ask() for name, ask in told.items()}
