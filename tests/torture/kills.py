"""Kill the writer at every one of its file operations, and look at what is left."""

from __future__ import annotations

import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.torture.figures import Row, Size
from tests.torture.tools import Checker, Fault, Operation, Tally, Tools, read_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

MODES = ("kill-before", "kill-half", "kill-after")
WORKLOADS = ("small", "eager", "rolling", "wide", "metrics")
THREADS = 2
FEWEST_CAUGHT = 50
"""A harness that finds fewer broken stores of a broken writer has no teeth."""


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


def one_kill_each(operations: Iterable[Operation]) -> list[Fault]:
    """One way to die for each operation, so that all come in turn."""
    faults = []
    for operation in operations:
        if operation.name != "say":
            mode = MODES[operation.number % len(MODES)]
            cut = mode == "kill-half" and operation.name != "write"
            faults.append(Fault(operation.number, "kill-before" if cut else mode))
    return faults


def spread(
    faults: Sequence[Fault], scratch: Path, share: Callable[[Sequence[Fault], Path], Tally]
) -> Tally:
    """Give each thread its share of the faults and a folder of its own."""
    folders = [scratch / str(thread) for thread in range(THREADS)]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    shares = [faults[start::THREADS] for start in range(THREADS)]
    total = Tally()
    with ThreadPoolExecutor(THREADS) as executor:
        for tally in executor.map(share, shares, folders):
            total.merge(tally)
    return total


def kill_loop(
    tools: Tools,
    workload: str,
    faults: Sequence[Fault],
    scratch: Path,
    *,
    writer: Path | None = None,
) -> Tally:
    """One trial for each fault: kill the writer there, and check what is left."""

    def share(faults: Sequence[Fault], folder: Path) -> Tally:
        store, said = folder / "store", folder / "said"
        tally = Tally()
        with Checker(tools, workload) as checker:
            for fault in faults:
                shutil.rmtree(store, ignore_errors=True)
                said.write_bytes(b"")
                environment = tools.environment(store, fault)
                status = tools.write(["write", store, workload], said, environment, writer=writer)
                verdict = checker.check(store, said)
                if status not in {-signal.SIGKILL, 0}:
                    ended = f"the writer ended with {status}: {said.read_text()[-300:]}"
                    verdict = verdict._replace(violation=ended)
                violation = verdict.violation
                if violation is None and writer is None:
                    violation = go_on(tools, checker, workload, store, said)
                tally.add(violation, fault, verdict.microseconds)
        return tally

    return spread(faults, scratch, share)


def go_on(
    tools: Tools,
    checker: Checker,
    workload: str,
    store: Path,
    said: Path,
    *how: object,
    boot_id: Path | None = None,
) -> str | None:
    """Continue what is left to the end of the workload: the store has to be as good as a new one."""
    environment = tools.environment(boot_id=boot_id) if boot_id else None
    status = tools.write(["continue", store, workload, 0, *how], said, environment)
    if status != 0:
        return f"continuing ended with {status}: {said.read_text()[-300:]}"
    violation = checker.check(store, said).violation
    return None if violation is None else f"after it was continued: {violation}"


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P1 and P3: kills at every operation, and a writer that has to be caught."""
    command = f"python -m tests.torture kills --size {size}"
    for workload in WORKLOADS if size is Size.LONG else ("eager",):
        operations = operations_of(tools, workload, scratch)
        faults = (every_kill if size is Size.LONG else one_kill_each)(operations)
        tally = kill_loop(tools, workload, faults, scratch)
        facts = f"each continued to the end; slowest check {tally.slowest_check / 1000:.0f} ms"
        when = "before, within and after" if size is Size.LONG else "before, within or after"
        test = f"kill {when} each of {operations[-1].number or operations[-2].number} operations of `{workload}`"
        yield Row("P1, P3", test, tally.trials, len(tally.violations), facts, command)
    operations = operations_of(tools, "eager", scratch)
    faults = every_kill(operations, ["kill-half"])
    caught = kill_loop(tools, "eager", faults, scratch, writer=tools.broken_writer)
    facts = f"{len(caught.violations):,} stores of the broken build were found out"
    missed = 0 if len(caught.violations) >= FEWEST_CAUGHT else 1
    test = "the same with a build that moves the watermark first has to fail"
    yield Row("P1", test, caught.trials, missed, facts, command)
