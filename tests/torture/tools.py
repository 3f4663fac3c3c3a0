"""The programs of the harness: the shim, the scripted writer and its checker, as processes."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TIMEOUT = 240.0
"""Seconds after which a writer or a check hangs."""


@dataclass(frozen=True)
class Fault:
    """What the shim does at one operation below a folder."""

    at: int = 0
    action: str = ""
    error: int = 0
    sticky: bool = False

    def __str__(self) -> str:
        error = f" {os.strerror(self.error)}" if self.error else ""
        return f"{self.action}{error}{' for good' if self.sticky else ''} at operation {self.at}"


class Verdict(NamedTuple):
    """What the checker says of a store."""

    violation: str | None
    records: int = 0
    microseconds: int = 0


@dataclass
class Tally:
    """What a loop of trials has seen."""

    trials: int = 0
    violations: list[str] = field(default_factory=list)
    slowest_check: int = 0

    def add(self, violation: str | None, what: object, microseconds: int = 0) -> None:
        self.trials += 1
        self.slowest_check = max(self.slowest_check, microseconds)
        if violation is not None:
            self.violations.append(f"{what}: {violation}")

    def merge(self, other: Tally) -> None:
        self.trials += other.trials
        self.violations += other.violations
        self.slowest_check = max(self.slowest_check, other.slowest_check)

    def show(self) -> None:
        """Write each violation to stderr, whole."""
        for violation in self.violations:
            print(violation, file=sys.stderr)  # noqa: T201 -- the command shows what it found

    def __str__(self) -> str:
        shown = "".join(f"\n  {violation}" for violation in self.violations[:10])
        return f"{len(self.violations)} violations in {self.trials} trials{shown}"


class Operation(NamedTuple):
    """A line of the shim's log."""

    name: str
    number: int
    result: int
    offset: int
    path: str
    second: str
    data: bytes


def read_log(path: Path) -> list[Operation]:
    """The operations of a process, in order."""
    content = path.read_bytes()
    operations = []
    place = 0
    while place < len(content):
        end = content.index(b"\n", place)
        name, number, result, offset, size, first, second = content[place:end].decode().split("\t")
        place = end + 1 + int(size)
        operations.append(
            Operation(
                name, int(number), int(result), int(offset), first, second, content[end + 1 : place]
            )
        )
    return operations


@dataclass(frozen=True)
class Tools:
    """Where the programs are."""

    shim: Path
    writer: Path
    broken_writer: Path | None = None
    """Built to move the watermark before the records are written."""

    def environment(
        self,
        below: Path | None = None,
        fault: Fault | None = None,
        *,
        log: Path | None = None,
        data: bool = False,
        boot_id: Path | None = None,
    ) -> dict[str, str]:
        """The environment of a process that the shim watches."""
        fault = fault or Fault()
        settings = {
            "LD_PRELOAD": self.shim,
            "TORTURE_BELOW": below or "",
            "TORTURE_AT": fault.at,
            "TORTURE_ACTION": fault.action,
            "TORTURE_ERROR": fault.error,
            "TORTURE_STICKY": int(fault.sticky),
            "TORTURE_LOG": log or "",
            "TORTURE_LOG_DATA": int(data),
            "TORTURE_BOOT_ID": boot_id or "",
        }
        return os.environ | {name: str(value) for name, value in settings.items()}

    def write(
        self,
        arguments: Sequence[object],
        said: Path,
        environment: dict[str, str] | None = None,
        *,
        writer: Path | None = None,
        before: Sequence[str] = (),
        lines: IO[str] | None = None,
    ) -> int | None:
        """Run the writer; what it says goes to `said`. None if it hangs."""
        command = [*before, writer or self.writer, *arguments]
        with said.open("ab") as output:
            try:
                return subprocess.run(
                    [str(word) for word in command],
                    stdin=lines,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    timeout=TIMEOUT,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                return None


class Checker:
    """A process that checks one store after the other, so that a check costs no start of a program."""

    def __init__(self, tools: Tools, workload: str, *, boot_id: Path | None = None) -> None:
        self._command = [str(tools.writer), "check", workload]
        self._environment = tools.environment(boot_id=boot_id) if boot_id else None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def check(self, folder: Path, said: Path, *, power_lost: bool = False) -> Verdict:
        """Compare a store with what its writer said. A checker that dies or hangs is a violation, too."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            ending = "power" if power_lost else "killed"
            process.stdin.write(f"{folder}\t{said}\t{ending}\n")
            process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            answered = selector.select(TIMEOUT)
        words = process.stdout.readline().split(" ", 1) if answered else ["hangs"]
        match words:
            case ["ok", rest]:
                records, microseconds = map(int, rest.split())
                return Verdict(None, records, microseconds)
            case ["violation", rest]:
                return Verdict(rest.strip())
        status = self._stop() if answered else None
        self._stop()
        return Verdict(f"the reader {'hangs' if status is None else f'died with {status}'}")

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
            text=True,
        )
        return self._process

    def _stop(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            return process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            process.stdout.close()


def other_boot_id(folder: Path) -> Path:
    """A boot id for readers that look at a store after a loss of power."""
    path = folder / "boot_id"
    path.write_text("ffffffff-0000-4000-8000-000000000000\n")
    return path


def build(folder: Path, *, broken: bool = False) -> Tools:
    """Compile the shim and the writers into a folder."""
    shim = folder / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    _run([*command, "-o", str(shim), str(HERE / "shim.c")])
    broken_writer = _writer(folder / "broken", "watermark-first") if broken else None
    return Tools(shim, _writer(folder / "writer"), broken_writer)


def _writer(target: Path, feature: str | None = None) -> Path:
    # The whole workspace and its profile: so the crates are those that `cargo test` compiled.
    command = ["cargo", "build", "--release", "--workspace", "--locked", "--quiet"]
    features = ["--features", f"specplan-store/{feature}"] if feature else []
    _run([*command, "--example", "torture_writer", *features])
    shutil.copy(ROOT / "target/release/examples/torture_writer", target)
    return target


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder in memory where there is one: what a kill leaves does not depend on the disk."""
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
