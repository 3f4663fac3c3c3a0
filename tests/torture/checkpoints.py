"""P10: kill the writing of a checkpoint at each of its file operations, or let that fail."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from specplan.errors import StoreError
from specplan.store.checkpoints import CheckpointFolder
from tests.torture import checkpoint_writer
from tests.torture.checkpoint_writer import contents, write
from tests.torture.errors import every_error, one_error_each
from tests.torture.figures import Row, Size
from tests.torture.kills import every_kill, one_kill_each, spread
from tests.torture.tools import Fault, Tally, Tools, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.torture.tools import Operation

FAILED = 1


def operations(tools: Tools, scratch: Path) -> list[Operation]:
    """What writing a second checkpoint does."""
    target, log, said = scratch / "logged", scratch / "log", scratch / "said"
    write(target, 1)
    assert _write(tools, target, said, tools.environment(target, log=log)) == 0, said.read_text()
    return read_log(log)


def checkpoint_loop(tools: Tools, faults: Sequence[Fault], scratch: Path) -> Tally:
    """One trial for each fault: a second checkpoint is written, then a third one without a fault."""

    def share(faults: Sequence[Fault], folder: Path) -> Tally:
        target, said = folder / "checkpoints", folder / "said"
        tally = Tally()
        for fault in faults:
            shutil.rmtree(target, ignore_errors=True)
            write(target, 1)
            said.write_bytes(b"")
            status = _write(tools, target, said, tools.environment(target, fault))
            violation = _ending(said.read_text(), status, fault) or _wrong(target)
            tally.add(violation or _continued(target), fault)
        return tally

    return spread(faults, scratch, share)


def _write(tools: Tools, target: Path, said: Path, environment: dict[str, str]) -> int | None:
    return tools.write(
        [checkpoint_writer.__file__, target, 2], said, environment, writer=Path(sys.executable)
    )


def _wrong(target: Path) -> str | None:
    """What is wrong with the newest checkpoint that is whole, which a run would go on from."""
    checkpoints = CheckpointFolder(target)
    for number in reversed(checkpoints.numbers()):
        try:
            found = checkpoints.read(number)
        except StoreError:
            continue
        if found.commit != number or set(found.digests) != set(contents(number)):
            return f"checkpoint {number} is another one"
        for name, content in contents(number).items():
            if (checkpoints.path_of(number) / name).read_bytes() != content:
                return f"checkpoint {number} has other bytes in {name}"
        return None
    return f"no checkpoint is whole: {sorted(path.name for path in target.iterdir())}"


def _continued(target: Path) -> str | None:
    """What a session that goes on leaves behind beside its own checkpoint."""
    checkpoints = CheckpointFolder(target)
    checkpoints.clear(after=checkpoints.numbers()[-1])
    write(target, 3)
    left = sorted(path.name for path in target.iterdir())
    return None if left == ["000003"] else f"left behind: {left}"


def _ending(text: str, status: int | None, fault: Fault) -> str | None:
    if fault.action.startswith("kill"):
        return None if status in {-signal.SIGKILL, 0} else f"ended with {status}: {text[-300:]}"
    # What is removed, and copied in parts, may fail unseen: nothing is lost by it.
    errors = [line for line in text.splitlines() if line.startswith("error ")]
    told = len(errors) == 1 and os.strerror(fault.error) in errors[0]
    if status == 0 or (status == FAILED and told):
        return None
    return f"ended with {status}: {text[-300:]}"


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P10: checkpoints whose writing does not end well."""
    done = operations(tools, scratch)
    kills, errors = (
        (every_kill(done), every_error(done))
        if size is Size.LONG
        else (one_kill_each(done), one_error_each(done)[::2])
    )
    for test, faults in (("kill", kills), ("one error", errors)):
        tally = checkpoint_loop(tools, faults, scratch)
        yield Row(
            "P10",
            f"{test} at each of {len(done)} operations of a checkpoint over an older one",
            tally.trials,
            len(tally.violations),
            "the old checkpoint or the new one, whole; the next one is written and is alone",
            f"python -m tests.torture checkpoints --size {size}",
        )
