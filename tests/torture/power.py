"""Real losses of power: a file system in a file that is shut down without writing what it holds, and mounted again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.torture.figures import Row, Size
from tests.torture.replay import LEVELS
from tests.torture.tools import Checker, Fault, Tally, Tools, other_boot_id, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator

SHUT_DOWN = 0x8004587D
"""FS_IOC_SHUTDOWN of the kernel."""
NO_FLUSH = 2
IMAGE_BYTES = 160 << 20
TRIALS = {Size.QUICK: 3, Size.LONG: 60}
"""Of each file system and level."""
WORKLOADS = {Size.QUICK: ("eager",), Size.LONG: ("eager", "rolling", "metrics")}


class FileSystem(NamedTuple):
    """A kind of file system, and how it is mounted."""

    kind: str
    options: str = "defaults"

    def __str__(self) -> str:
        return f"{self.kind}, {self.options}"

    @property
    def shows_old_blocks(self) -> bool:
        """Whether a file may have, after a loss of power, what deleted files had in the same place."""
        return "data=writeback" in self.options


EXT4 = (
    FileSystem("ext4", "data=ordered"),
    FileSystem("ext4", "data=writeback,nodelalloc"),
    FileSystem("ext4", "noauto_da_alloc"),
)
FILE_SYSTEMS = (*EXT4, FileSystem("xfs"))


class Disk:
    """A file system in a file, mounted on a folder."""

    def __init__(self, folder: Path, file_system: FileSystem, size: int = IMAGE_BYTES) -> None:
        self.mounted = folder / "mounted"
        self._image = folder / "image"
        self._file_system = file_system
        self._size = size

    def make(self) -> None:
        """Make the file system and mount it."""
        self.mounted.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(self._size)
        run(f"mkfs.{self._file_system.kind}", "-q", str(self._image))
        self.mount()

    def renew(self) -> None:
        """Begin again with a disk that has nothing on it, and never had."""
        self.unmount()
        self.make()

    def mount(self) -> None:
        options = f"loop,{self._file_system.options}"
        kind = self._file_system.kind
        run("mount", "-t", kind, "-o", options, str(self._image), str(self.mounted))

    def unmount(self) -> None:
        run("umount", str(self.mounted))

    def lose_power(self) -> None:
        """Nothing more reaches the disk; then look at what did."""
        descriptor = os.open(self.mounted, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUT_DOWN, NO_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(descriptor)
        self.unmount()
        self.mount()


def run(*command: str) -> None:
    """Run a program of the system."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(f"{' '.join(command)}: {result.stderr.strip()}")


@contextlib.contextmanager
def disk(folder: Path, file_system: FileSystem, size: int = IMAGE_BYTES) -> Iterator[Disk]:
    """A mounted file system. Raises OSError where this machine does not allow it."""
    made = Disk(folder, file_system, size)
    made.make()
    try:
        yield made
    finally:
        made.unmount()
        shutil.rmtree(folder)


def lacks(file_system: FileSystem) -> str | None:
    """What this machine lacks for trials on a file system, in one line."""
    if os.geteuid() != 0:
        return "only root may mount"
    if shutil.which(f"mkfs.{file_system.kind}") is None:
        return f"there is no mkfs.{file_system.kind}"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    return None


def power_loop(
    tools: Tools, workload: str, level: str, file_system: FileSystem, trials: int, scratch: Path
) -> Tally:
    """Cut the power at random operations of the writer."""
    scratch.mkdir(parents=True)
    generator = random.Random(f"{workload} {level} {file_system}")
    tally = Tally()
    boot_id = other_boot_id(scratch)
    log, said = scratch / "log", scratch / "said"
    with (
        disk(scratch / "disk", file_system) as made,
        Checker(tools, workload, boot_id=boot_id) as checker,
    ):
        store = made.mounted / "store"
        command = ["write", store, workload, level]
        environment = tools.environment(store, log=log)
        assert tools.write(command, said, environment) == 0, said.read_text()
        operations = max(done.number for done in read_log(log))
        for _ in range(trials):
            if file_system.shows_old_blocks:
                made.renew()
            else:
                shutil.rmtree(store)
            said.write_bytes(b"")
            fault = Fault(generator.randint(1, operations), "kill-after")
            tools.write(command, said, tools.environment(store, fault))
            sync_some(store, generator)
            made.lose_power()
            verdict = checker.check(store, said, power_lost=True)
            tally.add(
                verdict.violation, f"{fault} of {level} on {file_system}", verdict.microseconds
            )
            made.mounted.joinpath("store").mkdir(exist_ok=True)
    return tally


def sync_some(store: Path, generator: random.Random) -> None:
    """A system writes back some files long before others: the watermark before the rows, say."""
    for path in store.rglob("*"):
        if path.is_file() and generator.random() < 0.3:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P2: file systems that lose their power."""
    command = f"python -m tests.torture power --size {size}"
    for file_system in FILE_SYSTEMS:
        for level in LEVELS:
            test = f"power lost at random operations, {file_system}, level `{level}`"
            missing = lacks(file_system)
            if missing is not None:
                yield Row("P2", test, None, 0, missing, command)
                continue
            tally = Tally()
            for workload in WORKLOADS[size]:
                folder = scratch / f"{file_system}-{level}-{workload}"
                trials = TRIALS[size]
                tally.merge(power_loop(tools, workload, level, file_system, trials, folder))
            facts = f"slowest check {tally.slowest_check / 1000:.0f} ms"
            yield Row("P2", test, tally.trials, len(tally.violations), facts, command)
