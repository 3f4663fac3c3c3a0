"""Disks that are really full: of bytes, of inodes, by a limit, or only when what was written is synced."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING

from tests.torture.errors import FAILED, what_was_said
from tests.torture.figures import Row, Size
from tests.torture.kills import operations_of
from tests.torture.power import FILE_SYSTEMS, disk, lacks, run
from tests.torture.tools import Checker, Tally, Tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WORKLOAD = "rolling"
KIBIBYTE = 1024
FULL = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EFBIG, errno.EDQUOT)
SIZES = {
    Size.QUICK: [KIBIBYTE << power for power in range(6, 14)],
    Size.LONG: [64 * KIBIBYTE * number for number in range(1, 129)],
}
"""Bytes of the small disks."""


def full_trial(
    tools: Tools, store: Path, scratch: Path, level: str = "process", before: Sequence[str] = ()
) -> tuple[str | None, bool]:
    """Write until the disk is full. Returns what is wrong, and whether it did get full."""
    said = scratch / "said"
    said.write_bytes(b"")
    status = tools.write(["write", store, WORKLOAD, level], said, before=before)
    text = said.read_text()
    with Checker(tools, WORKLOAD) as checker:
        verdict = checker.check(store, said)
    named = [error for error in FULL if os.strerror(error) in text]
    if status == 0:
        return verdict.violation, False
    if not named or status != FAILED:
        return f"ended with {status}: {text[-300:]}", True
    # The first error line is where the shim would have said that it let an operation fail.
    failed = text.index("error ")
    marked = f"{text[:failed]}injected 0 by the disk\n{text[failed:]}"
    return what_was_said(marked, status, named[0], store) or verdict.violation, True


@contextlib.contextmanager
def memory_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory of a size."""
    folder.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield folder
    finally:
        run("umount", str(folder))
        folder.rmdir()


def small_disks(tools: Tools, sizes: Sequence[int], scratch: Path) -> tuple[Tally, int]:
    """Disks of these sizes; returns also how many got full."""
    tally, full = Tally(), 0
    for size in sizes:
        with memory_disk(scratch / "mounted", f"size={size}") as folder:
            violation, got_full = full_trial(tools, folder / "store", scratch)
        tally.add(violation, f"a disk of {size} bytes")
        full += got_full
    return tally, full


def few_inodes(tools: Tools, counts: Sequence[int], scratch: Path) -> tuple[Tally, int]:
    """Disks with room for this many files."""
    tally, full = Tally(), 0
    for count in counts:
        with memory_disk(scratch / "mounted", f"nr_inodes={count}") as folder:
            violation, got_full = full_trial(tools, folder / "store", scratch)
        tally.add(violation, f"a disk of {count} inodes")
        full += got_full
    return tally, full


def file_size_limits(tools: Tools, limits: Sequence[int], scratch: Path) -> tuple[Tally, int]:
    """`ulimit -f` of so many KiB, with its signal ignored as Python does."""
    tally, full = Tally(), 0
    for limit in limits:
        store = scratch / "store"
        shutil.rmtree(store, ignore_errors=True)
        before = ["sh", "-c", f'trap "" XFSZ; ulimit -f {limit * 2}; exec "$@"', "sh"]
        violation, got_full = full_trial(tools, store, scratch, before=before)
        tally.add(violation, f"a limit of {limit} KiB")
        full += got_full
    shutil.rmtree(store, ignore_errors=True)
    return tally, full


def late_errors(tools: Tools, sizes: Sequence[int], scratch: Path) -> tuple[Tally, int]:
    """A disk whose own disk is full: writes are taken, and only a sync says that they are lost."""
    tally, full = Tally(), 0
    for size in sizes:
        with (
            memory_disk(scratch / "below", f"size={size}") as below,
            disk(below / "disk", FILE_SYSTEMS[0], 256 << 20) as made,
        ):
            violation, got_full = full_trial(tools, made.mounted / "store", scratch, "disk")
        tally.add(violation, f"a disk on a disk of {size} bytes")
        full += got_full
    return tally, full


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P5: disks that get full."""
    command = f"python -m tests.torture disks --size {size}"
    long = size is Size.LONG
    files = sum(done.second == "new" for done in operations_of(tools, WORKLOAD, scratch))
    counts = range(2, files + 8) if long else range(3, files, 3)
    limits = [2**power for power in range(4, 16 if long else 12, 1 if long else 3)]
    late = [(2 + number) << 20 for number in range(12 if long else 1)]
    trials = (
        ("disks in memory of 64 KiB to 8 MiB", small_disks, SIZES[size], True),
        ("disks with few inodes", few_inodes, counts, True),
        ("`ulimit -f`", file_size_limits, limits, False),
        ("ext4 whose own disk is full, level `disk`", late_errors, late, True),
    )
    for test, trial, arguments, mounts in trials:
        missing = lacks(FILE_SYSTEMS[0]) if mounts else None
        if missing is not None:
            yield Row("P5", test, None, 0, missing, command)
            continue
        tally, full = trial(tools, list(arguments), scratch)
        facts = f"{full} of {tally.trials} got full"
        yield Row("P5", test, tally.trials, len(tally.violations), facts, command)
