"""Let every file operation fail, once or for good, and look at what the writer says and leaves."""

from __future__ import annotations

import errno
import os
import shutil
from itertools import pairwise
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
    "fallocate": (errno.ENOSPC, errno.EOPNOTSUPP, errno.EDQUOT, errno.EIO),
    "truncate": (errno.EIO, errno.ENOSPC),
    "mkdir": (errno.ENOSPC, errno.EROFS, errno.EDQUOT),
    "rename": (errno.ENOSPC, errno.EROFS, errno.EIO),
    "link": (errno.ENOSPC, errno.EROFS, errno.EIO),
    "unlink": (errno.EROFS, errno.EIO),
}
"""What can really come back from each kind of operation."""

DROP_RAISES = ("error create ", "error channel ", "error sync_to_disk ")
"""The calls that fail even where records may be lost: nothing is lost with the first two, and the last promises."""

POLICIES = ("stop", "drop")
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


def error_loop(
    tools: Tools, workload: str, faults: Sequence[Fault], scratch: Path, policy: str = "stop"
) -> Tally:
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
                command = ["write", store, workload, "process", policy]
                status = tools.write(command, said, environment)
                verdict = checker.check(store, said)
                text = said.read_text()
                violation = (
                    (what_was_said if policy == "stop" else what_drop_said)(
                        text, status, fault.error, store
                    )
                    or retried_sync(read_log(log))
                    or verdict.violation
                )
                if not violation and policy == "drop" and not fault.sticky:
                    violation = lost_more(text, verdict.records)
                tally.add(violation, fault, verdict.microseconds)
        return tally

    return spread(faults, scratch, share)


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P5: every operation fails."""
    command = f"python -m tests.torture errors --size {size}"
    for workload in WORKLOADS if size is Size.LONG else ("eager",):
        operations = operations_of(tools, workload, scratch)
        for policy in POLICIES:
            all_errors = size is Size.LONG and workload in {"eager", "small"}
            faults = (every_error if all_errors else one_error_each)(operations)
            tally = error_loop(tools, workload, faults, scratch, policy)
            many = "every error" if all_errors else "one error"
            test = f"{many} at each operation of `{workload}`, policy `{policy}`"
            facts = "ENOSPC, EIO, EDQUOT, EROFS, EMFILE, short writes; once and for good"
            yield Row("P5", test, tally.trials, len(tally.violations), facts, command)


def what_was_said(text: str, status: int | None, error: int, store: Path) -> str | None:
    """Why these lines break the promise that a failure is named at once, stays, and hurts nothing else."""
    lines = text.splitlines()
    if "panicked" in text:
        return f"a panic: {text[-300:]}"
    injected = next(
        (place for place, line in enumerate(lines) if line.startswith("injected ") and hurts(line)),
        None,
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


def hurts(injected: str) -> bool:
    """Whether records can be lost with the operation: space that cannot be taken ahead may be found later."""
    return injected.split()[2] != "fallocate"


def what_drop_said(text: str, status: int | None, error: int, store: Path) -> str | None:
    """The same under `drop`: nothing is raised once a store and its channels are there."""
    if "panicked" in text:
        return f"a panic: {text[-300:]}"
    lines = text.splitlines()
    errors = [line for line in lines if line.startswith("error ")]
    if any(not named(line, error, store) for line in errors):
        return f"error without cause or path: {errors}"
    if any(not line.startswith(DROP_RAISES) for line in errors):
        return f"raised although records may be dropped: {errors}"
    if errors and not errors[0].startswith("error sync_to_disk "):
        return None if status in {0, FAILED} else f"ended with {status}"
    return None if (status, lines[-1]) == (0, "closed") else f"ended with {status} and {lines[-2:]}"


def lost_more(text: str, records: int) -> str | None:
    """One failure may cost the records of one sync, and all later ones are written again."""
    synced = [int(line.split()[1]) for line in text.splitlines() if line.startswith("synced ")]
    if not synced:
        return None
    one_sync = max(after - before for before, after in pairwise([0, *synced]))
    lost = synced[-1] - records
    return f"one failure cost {lost} records" if lost > one_sync else None


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
