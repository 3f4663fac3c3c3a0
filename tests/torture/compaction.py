"""P10: kill the export to Parquet at each of its file operations, or let that fail."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

from tests.torture.errors import FAILED, every_error, named, one_error_each
from tests.torture.figures import Row, Size
from tests.torture.kills import every_kill, spread
from tests.torture.tools import Fault, Tally, Tools, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TABLES = ("metrics.parquet", "execution.parquet")


class Tables:
    """A store, the tables that it gives, and those that were there before."""

    def __init__(self, tools: Tools, scratch: Path) -> None:
        self.store = scratch / "store"
        self.before = scratch / "before"
        self.after = scratch / "after"
        self.log = scratch / "log"
        said = scratch / "said"
        for workload, store, tables in (
            ("table before", scratch / "old", self.before),
            ("table", self.store, self.after),
        ):
            assert tools.write(["write", store, workload], said) == 0, said.read_text()
            tables.mkdir()
            self.log.unlink(missing_ok=True)
            environment = tools.environment(tables, log=self.log)
            assert tools.write(["export", store, tables], said, environment) == 0
        self.operations = read_log(self.log)

    def wrong(self, folder: Path) -> str | None:
        """A table that is neither the one from before nor the new one, bit for bit."""
        for name in TABLES:
            content = (folder / name).read_bytes()
            if content not in ((self.before / name).read_bytes(), (self.after / name).read_bytes()):
                return f"{name} is neither the old table nor the new one"
        return None


def compaction_loop(tools: Tools, tables: Tables, faults: Sequence[Fault], scratch: Path) -> Tally:
    """One trial for each fault, each over tables that are there; then export once more."""

    def share(faults: Sequence[Fault], folder: Path) -> Tally:
        target, said = folder / "tables", folder / "said"
        tally = Tally()
        for fault in faults:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(tables.before, target)
            said.write_bytes(b"")
            command = ["export", tables.store, target]
            status = tools.write(command, said, tools.environment(target, fault))
            violation = _ending(said.read_text(), status, fault, target) or tables.wrong(target)
            if violation is None and tools.write(command, said) != 0:
                violation = f"no second export: {said.read_text()[-300:]}"
            if violation is None and sorted(path.name for path in target.iterdir()) != sorted(
                TABLES
            ):
                violation = f"left behind: {[path.name for path in target.iterdir()]}"
            tally.add(violation, fault)
        return tally

    return spread(faults, scratch, share)


def _ending(text: str, status: int | None, fault: Fault, target: Path) -> str | None:
    if fault.action.startswith("kill"):
        return None if status in {-signal.SIGKILL, 0} else f"ended with {status}: {text[-300:]}"
    errors = [line for line in text.splitlines() if line.startswith("error ")]
    if fault.action == "short" or "injected" not in text:
        return None if status == 0 else f"ended with {status}: {errors}"
    if " unlink " in text and status == 0:
        return None
    if status != FAILED or not errors or not named(errors[0], fault.error, target):
        return f"ended with {status}: {text[-300:]}"
    return None


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P10: exports that do not end well."""
    command = f"python -m tests.torture compaction --size {size}"
    tables = Tables(tools, scratch)
    errors = (
        every_error(tables.operations) if size is Size.LONG else one_error_each(tables.operations)
    )
    for test, faults in (("kill", every_kill(tables.operations)), ("one error", errors)):
        tally = compaction_loop(tools, tables, faults, scratch)
        words = (
            f"{test} at each of {len(tables.operations)} operations of an export over older tables"
        )
        facts = "the old table or the new one, byte for byte; the next export works"
        yield Row("P10", words, tally.trials, len(tally.violations), facts, command)
