"""Let every file operation fail, once or for good, and look at what the writer says and leaves."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

from tests.torture.figures import Row, Size
from tests.torture.kills import WORKLOADS, operations_of, spread
from tests.torture.tools import Checker, Fault, Operation, Tally, Tools, read_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

ERRORS = {
    "write": (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS),
    "open": (errno.EMFILE, errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT),
    "fsync": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
    "truncate": (errno.EIO, errno.ENOSPC),
    "mkdir": (errno.ENOSPC, errno.EROFS, errno.EDQUOT),
    "rename": (errno.ENOSPC, errno.EROFS, errno.EIO),
    "link": (errno.ENOSPC, errno.EROFS, errno.EIO),
    "unlink": (errno.EROFS, errno.EIO),
}
"""What can really come back from each kind of operation."""

PROMISES = ("created", "synced", "closed")
FAILED = 3
"""How the writer exits after an error that it named."""


def every_error(operations: Iterable[Operation]) -> list[Fault]:
    """All errors of all operations, once and for good."""
    faults = []
    for operation in operations:
        if operation.name == "say":
            continue
        for sticky in (False, True):
            errors = ERRORS[operation.name]
            faults += [Fault(operation.number, "fail", error, sticky) for error in errors]
            if operation.name == "write":
                faults.append(Fault(operation.number, "short", 0, sticky))
    return faults


def one_error_each(operations: Iterable[Operation]) -> list[Fault]:
    """One fault for each operation, so that all kinds come in turn."""
    by_number: dict[int, list[Fault]] = {}
    for fault in every_error(operations):
        by_number.setdefault(fault.at, []).append(fault)
    return [faults[number % len(faults)] for number, faults in by_number.items()]


def error_loop(tools: Tools, workload: str, faults: Sequence[Fault], scratch: Path) -> Tally:
    """One trial for each fault: let the operation fail, and check what is said and left."""

    def share(faults: Sequence[Fault], folder: Path) -> Tally:
        store, said, log = folder / "store", folder / "said", folder / "log"
        tally = Tally()
        with Checker(tools, workload) as checker:
            for fault in faults:
                shutil.rmtree(store, ignore_errors=True)
                said.write_bytes(b"")
                log.unlink(missing_ok=True)
                environment = tools.environment(store, fault, log=log)
                status = tools.write(["write", store, workload], said, environment)
                verdict = checker.check(store, said)
                violation = (
                    what_was_said(said.read_text(), status, fault.error, store)
                    or retried_sync(read_log(log))
                    or verdict.violation
                )
                tally.add(violation, fault, verdict.microseconds)
        return tally

    return spread(faults, scratch, share)


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P5: every operation fails."""
    command = f"python -m tests.torture errors --size {size}"
    for workload in WORKLOADS if size is Size.LONG else ("eager",):
        operations = operations_of(tools, workload, scratch)
        long = size is Size.LONG and workload == "eager"
        faults = every_error(operations) if long else one_error_each(operations)
        tally = error_loop(tools, workload, faults, scratch)
        test = f"{'every error' if long else 'one error'} at each operation of `{workload}`"
        facts = "ENOSPC, EIO, EDQUOT, EROFS, EMFILE, short writes; once and for good"
        yield Row("P5", test, tally.trials, len(tally.violations), facts, command)


def what_was_said(text: str, status: int | None, error: int, store: Path) -> str | None:
    """Why these lines break the promise that a failure is named at once, stays, and hurts nothing else."""
    lines = text.splitlines()
    if "panicked" in text:
        return f"a panic: {text[-300:]}"
    injected = next(
        (place for place, line in enumerate(lines) if line.startswith("injected ")), None
    )
    if injected is None or error == 0:
        ended_well = status == 0 and bool(lines) and lines[-1] == "closed"
        return None if ended_well else f"ended with {status} for no reason: {lines[-3:]}"
    after = [line for line in lines[injected + 1 :] if not line.startswith("injected ")]
    unnamed = [
        line for line in after if line.startswith("error ") and not named(line, error, store)
    ]
    if unnamed:
        return f"{lines[injected]}: error without cause or path: `{unnamed[0]}`"
    if after and after[0].startswith("error channel "):
        # Nothing was recorded yet: the writer tries once more, and goes on where that works.
        return None if status in {0, FAILED} else f"{lines[injected]}: ended with {status}"
    if (status, after) == (0, ["closed"]):
        # Only what saves space may be left undone: a closed store has all records, and on disk.
        return None
    if status != FAILED or not after:
        return f"{lines[injected]}: ended with {status} and {after[-2:]}"
    kept = [line for line in after if line.split()[0] in PROMISES]
    if kept:
        return f"{lines[injected]}: promised `{kept[0]}` nevertheless"
    if any(line.startswith("unexpected ") for line in after):
        return f"{lines[injected]}: {after}"
    return None


def named(line: str, error: int, store: Path) -> bool:
    """Whether an error says its cause and its file."""
    return os.strerror(error) in line and f"`{store}" in line


def retried_sync(operations: Iterable[Operation]) -> str | None:
    """The file whose failed fsync was tried again."""
    failed = set()
    for operation in operations:
        if operation.name == "fsync":
            if operation.path in failed:
                return f"fsync of {operation.path} was tried again after it had failed"
            if operation.result < 0:
                failed.add(operation.path)
    return None
