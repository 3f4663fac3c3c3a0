"""Processor, memory, disk and GPU as metrics of a run, which change nothing else of it."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

import specplan
from specplan.experiments import experiment
from specplan.plan.compile import compile_mapping
from specplan.run import hardware
from specplan.run.display import Silent
from specplan.run.resume import resume_run
from tests.run import specs
from tests.run.test_resume import spec, stopped, whole, write_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from specplan.run.outcome import Outcome

SAMPLED = {"results": {"system_metrics_seconds": 0.1}}
NAMES = {
    "system/cpu_percent",
    "system/memory_available_bytes",
    "system/memory_percent",
    "system/network_received_bytes",
    "system/network_sent_bytes",
    "system/process_cpu_percent",
    "system/process_memory_bytes",
    "system/process_threads",
    "system/disk_free_bytes",
    "system/disk_percent",
}
DRIVER = """
class NVMLError(Exception):
    pass

NVML_TEMPERATURE_GPU = 0
asked = 0

def nvmlInit(): pass
def nvmlDeviceGetCount(): return 1
def nvmlSystemGetDriverVersion(): return b"555.1"
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetName(handle): return "Card"
def nvmlDeviceGetMemoryInfo(handle): return type("Memory", (), {"used": 5, "total": 9})
def nvmlDeviceGetPowerUsage(handle): return 70_000
def nvmlDeviceGetUtilizationRates(handle): raise NVMLError("not of a part of a card")
def nvmlDeviceGetTemperature(handle, sensor):
    global asked
    asked += 1
    if asked > BREAKS_AT:
        raise NVMLError("the card fell off the bus")
    return 40
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which a stand-in of NVIDIA's library can be put."""
    folder = tmp_path / "driver"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    _forget()
    yield folder / "pynvml.py"
    sys.modules.pop("pynvml", None)
    _forget()


def _forget() -> None:
    hardware.gpu_handles.cache_clear()
    hardware.gpus.cache_clear()


def training_rows(outcome: Outcome) -> list[dict[str, Any]]:
    volatile = ("time", "sequence", "crc32", "session", "run_id")
    return [
        {key: value for key, value in row.items() if key not in volatile}
        for row in specs.metrics(outcome)
        if not row["name"].startswith("system/")
    ]


def test_a_run_is_sampled_and_otherwise_the_same(tmp_path: Path) -> None:
    write_data(tmp_path)
    plain, sampled = whole(tmp_path), whole(tmp_path, **SAMPLED)
    assert plain.run_file.plan_id == sampled.run_file.plan_id
    assert training_rows(plain) == training_rows(sampled)
    assert specs.same_weights(plain.state.nodes["Net"], sampled.state.nodes["Net"])
    rows = [row for row in specs.metrics(sampled) if row["name"].startswith("system/")]
    assert {row["name"] for row in rows} >= NAMES
    assert {row["phase"] for row in rows} == {None}
    assert min(row["value"] for row in rows if row["name"] == "system/process_memory_bytes") > 1e6
    assert not any(row["name"].startswith("system/") for row in specs.metrics(plain))


def test_a_resumed_run_has_the_same_training(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 15, **SAMPLED)
    expected = whole(tmp_path)
    resumed = resume_run(folder, display=Silent())
    assert resumed is not None
    assert training_rows(resumed) == training_rows(expected)
    assert specs.same_weights(resumed.state.nodes["Net"], expected.state.nodes["Net"])
    sessions = specplan.open(folder.path).metrics("system/cpu_percent").arrow.column("session")
    assert 2 in sessions.to_pylist()


def test_a_program_is_sampled(tmp_path: Path) -> None:
    with experiment(tmp_path, "x", dirty_git="ignore", system_metrics_seconds=0.1) as xp:
        xp.log_metrics({"loss": 1.0})
        xp.run.sample_system(0.1)
    run = specplan.open("x", root=tmp_path)
    table = run.metrics("system/cpu_percent").arrow
    assert table.column("step").to_pylist() == [*range(table.num_rows)]
    assert table.num_rows >= 1


def test_gpus_are_sampled(tmp_path: Path, driver: Path) -> None:
    driver.write_text(DRIVER.replace("BREAKS_AT", "1_000"), encoding="utf-8")
    with experiment(tmp_path, "x", dirty_git="ignore", system_metrics_seconds=0.1) as xp:
        folder = xp.run.folder
    run = specplan.open(folder.path)
    found = {name for name in run.metrics().arrow.column("name").to_pylist() if "gpu" in name}
    assert found == {f"system/gpu0_{name}" for name in ("memory_used_bytes", "watts", "celsius")}
    assert hardware.gpus() == [{"name": "Card", "memory_bytes": 9, "driver": "555.1"}]


def test_a_gpu_that_tells_little_of_itself_stops_no_run(driver: Path) -> None:
    silent = 'def nvmlDeviceGetMemoryInfo(handle): raise NVMLError("not of a part of a card")'
    driver.write_text(f"{DRIVER}\n{silent}\n", encoding="utf-8")
    assert hardware.host()["gpus"] == [{"name": "Card", "memory_bytes": None, "driver": "555.1"}]
    lost = 'def nvmlDeviceGetHandleByIndex(index): raise NVMLError("the card is lost")'
    driver.write_text(f"{DRIVER}\n{lost}\n", encoding="utf-8")
    sys.modules.pop("pynvml", None)
    importlib.invalidate_caches()
    _forget()
    assert hardware.host()["gpus"] == []


def test_what_cannot_be_sampled_fails_no_run(
    tmp_path: Path, driver: Path, caplog: pytest.LogCaptureFixture
) -> None:
    driver.write_text(DRIVER.replace("BREAKS_AT", "1"), encoding="utf-8")
    with (
        caplog.at_level(logging.WARNING),
        experiment(tmp_path, "x", dirty_git="ignore", system_metrics_seconds=0.1) as xp,
    ):
        xp.log_metrics({"loss": 1.0})
    assert specplan.open("x", root=tmp_path).status == "completed"
    assert caplog.messages == [
        "the system is sampled no more: NVMLError: the card fell off the bus"
    ]


def test_it_is_not_sampled_faster_than_is_good() -> None:
    with pytest.raises(specplan.SpecError, match="system_metrics_seconds"):
        compile_mapping(spec(results={"system_metrics_seconds": 0.01}))
