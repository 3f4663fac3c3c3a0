"""Kill the writer at every one of its file operations, and look at what is left."""

from __future__ import annotations

import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.torture.tools import Checker, Fault, Operation, Tally, Tools, read_log

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MODES = ("kill-before", "kill-half", "kill-after")
WORKLOADS = ("small", "eager", "rolling", "wide", "metrics")
THREADS = 2


def operations_of(
    tools: Tools, workload: str, scratch: Path, *, data: bool = False
) -> list[Operation]:
    """What the writer does to files when nothing goes wrong."""
    log, said = scratch / f"{workload}.log", scratch / f"{workload}.said"
    store = scratch / workload
    environment = tools.environment(store, log=log, data=data)
    assert tools.write(["write", store, workload], said, environment) == 0, said.read_text()
    assert said.read_text().endswith("closed\n")
    with Checker(tools, workload) as checker:
        verdict = checker.check(store, said)
    assert verdict.violation is None, verdict
    shutil.rmtree(store)
    operations = read_log(log)
    log.unlink()
    said.unlink()
    return operations


def every_kill(operations: Iterable[Operation], modes: Iterable[str] = MODES) -> list[Fault]:
    """All faults that differ: only a write can be left half done."""
    return [
        Fault(operation.number, mode)
        for operation in operations
        for mode in modes
        if operation.name != "say" and (mode != "kill-half" or operation.name == "write")
    ]


def kill_loop(
    tools: Tools,
    workload: str,
    faults: list[Fault],
    scratch: Path,
    *,
    broken: bool = False,
) -> Tally:
    """One trial for each fault."""
    shares = [faults[start::THREADS] for start in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as executor:
        tallies = executor.map(
            lambda thread: _share(
                tools, workload, shares[thread], scratch / str(thread), broken=broken
            ),
            range(THREADS),
        )
    total = Tally()
    for tally in tallies:
        total.merge(tally)
    return total


def _share(
    tools: Tools, workload: str, faults: list[Fault], scratch: Path, *, broken: bool
) -> Tally:
    scratch.mkdir(exist_ok=True)
    store, said = scratch / "store", scratch / "said"
    writer = tools.broken_writer if broken else None
    tally = Tally()
    with Checker(tools, workload) as checker:
        for fault in faults:
            shutil.rmtree(store, ignore_errors=True)
            said.write_bytes(b"")
            environment = tools.environment(store, fault)
            status = tools.write(["write", store, workload], said, environment, writer=writer)
            if status not in {-signal.SIGKILL, 0}:
                tally.add(f"the writer ended with {status}: {said.read_text()[-300:]}", fault)
                continue
            verdict = checker.check(store, said)
            tally.add(verdict.violation, fault, verdict.microseconds)
    return tally
