"""What code of the user gives: seen by running it on a few rows in another process, and remembered.

Nothing of this process changes: not its generators of random numbers, not its modules. The process that runs
the code is ended when it takes too long, and gets no more memory than a limit.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from blake3 import blake3

from specplan.base.cache import cache_folder
from specplan.base.flops import ModelFlops  # noqa: TC001 -- msgspec resolves it

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 120.0
"""Time to import torch and the code, and to run the model."""

MEMORY = 8 << 30
"""Bytes that code which is tried can take beside what Python and torch have, or those that are free if they are fewer."""

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from specplan.models.torch.probe import main; main(int(sys.argv[2]))"
)


class _Code(msgspec.Struct, frozen=True, kw_only=True):
    """Code to run: where its source is, and its arguments."""

    use: str
    folder: str
    pythonpath: tuple[str, ...]
    digest: str
    args: dict[str, Any]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a column: their item type in numpy's words, the shape, and the bytes."""

    dtype: str
    shape: tuple[int, ...]
    values: bytes

    @property
    def digest(self) -> str:
        """What tells these values from others."""
        return blake3(msgspec.json.encode(self)).hexdigest()[:32]


class Job(_Code, frozen=True, kw_only=True, tag="model"):
    """A model or a merge, and what it reads.

    Attributes:
        input_shapes: of a row of each input, of which a model has one.
        rows: a few rows of each input; None for those that are to be drawn at random.
    """

    kind: Literal["model", "merge"] = "model"
    input_shapes: tuple[tuple[int, ...], ...]
    rows: tuple[Column | None, ...] = ()

    @property
    def read(self) -> str:
        """What tells the rows from others; empty where all are random."""
        known = [None if column is None else column.digest for column in self.rows]
        return blake3(msgspec.json.encode(known)).hexdigest()[:32] if any(known) else ""


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What a loss or metric reads as one of its arguments: rows of a type and shape, from which gradients flow or not."""

    dtype: str
    shape: tuple[int, ...]
    gradient: bool


class Judgement(_Code, frozen=True, kw_only=True, tag="judgement"):
    """A loss or a metric, and what it reads."""

    kind: Literal["loss", "metric"]
    values: tuple[Values, ...]


class Draw(_Code, frozen=True, kw_only=True, tag="draw"):
    """A sampler, and the rows of which it makes batches."""

    rows: int
    seed: int
    columns: dict[str, Column]


class Divide(_Code, frozen=True, kw_only=True, tag="divide"):
    """A splitter, and the rows that it divides."""

    rows: int
    seed: int
    columns: dict[str, Column]


class Fitting(_Code, frozen=True, kw_only=True, tag="fitting"):
    """A scaler, and rows to learn from."""

    rows: Column


class Gave(msgspec.Struct, frozen=True, kw_only=True, tag="gave"):
    """Shape of one output row, and the number of parameters.

    Attributes:
        read: what tells the rows of the data that it read from others; empty where they were random.
        flops: None where they could not be counted.
        uncountable: whether that was tried in vain, so that trying again tells no more.
    """

    shape: tuple[int, ...]
    parameters: int
    read: str = ""
    flops: ModelFlops | None = None
    uncountable: bool = False


class Judged(msgspec.Struct, frozen=True, kw_only=True, tag="judged"):
    """A loss or metric that gave a number, or a scaler that scaled."""


class Drew(msgspec.Struct, frozen=True, kw_only=True, tag="drew"):
    """What each epoch of a sampler has: rows or tuples, batches, and those of the largest batch.

    Attributes:
        roles: of the rows of a tuple; empty where rows are read one by one.
    """

    samples: int
    steps: int
    largest: int
    roles: tuple[str, ...] = ()


class Parts(msgspec.Struct, frozen=True, kw_only=True, tag="parts"):
    """The numbers of the rows of each split, as bytes of int64."""

    splits: dict[str, bytes]


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """What went wrong, and in which line of the user's code."""

    code: str
    message: str
    hint: str | None = None


AnyJob = Job | Judgement | Draw | Divide | Fitting
AnyKnown = Gave | Judged | Drew | Parts
AnyAnswer = AnyKnown | Failed
Known = TypeVar("Known", Gave, Judged, Drew, Parts)
_KNOWN: msgspec.json.Decoder[AnyKnown] = msgspec.json.Decoder(AnyKnown)
_ANSWER: msgspec.json.Decoder[AnyAnswer] = msgspec.json.Decoder(AnyAnswer)


class Prober:
    """Runs code in one child process, which is started with the first of it."""

    def __init__(self, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self._seconds = seconds
        self._memory = memory
        self._child: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as this

    def run(self, job: AnyJob, kind: type[Known]) -> Known | Failed:
        """Do a job, which is answered by a `kind` where that goes well."""
        answer = self._answer(job)
        if isinstance(answer, Failed):
            return answer
        assert isinstance(answer, kind)
        return answer

    def _answer(self, job: AnyJob) -> AnyAnswer:
        name = job.use.rpartition(":")[2]
        child = self._child = self._child or _started(self._said, self._memory)
        assert child.stdin is not None
        try:
            child.stdin.write(msgspec.json.encode(job) + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            return self._ended(child, name)
        line = _line(child, time.monotonic() + self._seconds)
        if line is None:
            self._stop()
            return failed(name, f"took longer than {self._seconds:g} seconds")
        if not line:
            return self._ended(child, name)
        answer = _ANSWER.decode(line)
        if not isinstance(answer, Failed):
            _remember(job, answer)
        return answer

    def close(self) -> None:
        """End the child process, and whatever the code has started in its group."""
        self._stop()
        self._said.close()

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with child:
                os.killpg(child.pid, signal.SIGKILL)

    def _ended(self, child: subprocess.Popen[bytes], name: str) -> Failed:
        self._child = None
        with child:
            code = child.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip().rpartition("\n")[2]
        return failed(name, f"ended its process with exit code {code}" + f": {said}" * bool(said))


def failed(name: str, what: str, hint: str | None = None) -> Failed:
    """Code that was run, and what came of it."""
    return Failed(code="SP604", message=f"`{name}` {what}", hint=hint)


def remembered(job: AnyJob, kind: type[Known]) -> Known | None:
    """What this code gave when it was run last, with the same arguments and seed on the same rows.

    Of a model, rows of the same shape are the same rows.
    """
    try:
        found = _KNOWN.decode(_file(job).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # it is run again, and written anew
    return found if isinstance(found, kind) else None


def _started(said: IO[bytes], memory: int) -> subprocess.Popen[bytes]:
    path = msgspec.json.encode([os.path.abspath(entry) for entry in sys.path]).decode()  # noqa: PTH100 -- '' is the current folder
    return subprocess.Popen(
        [sys.executable, "-c", _START, path, str(memory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,
    )


def _line(child: subprocess.Popen[bytes], until: float) -> bytes | None:
    """The next line; empty where the child ended, None where it does not come in time."""
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    read = b""
    while not read.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(until - time.monotonic(), 0))
        if not ready:
            return None
        part = os.read(descriptor, 65536)
        if not part:
            return b""
        read += part
    return read


def _remember(job: AnyJob, gave: AnyKnown) -> None:
    file = _file(job)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(f".{os.getpid()}")
    beside.write_bytes(msgspec.json.encode(gave))
    beside.replace(file)


def _file(job: AnyJob) -> Path:
    read: Any
    match job:
        case Job(kind="model"):
            (read,) = job.input_shapes
        case Job():
            read = ("merge", job.input_shapes)
        case Judgement():
            read = (job.kind, job.values)
        case Draw():
            read = ("sampler", job.rows, job.seed, sorted(job.columns.items()))
        case Divide():
            read = ("split", job.rows, job.seed, sorted(job.columns.items()))
        case Fitting():
            read = ("scaler", job.rows)
    meaning = [job.use.rpartition(":")[2], job.digest, sorted(job.args.items()), read]
    name = blake3(msgspec.json.encode(meaning)).hexdigest()[:32]
    return cache_folder() / "shapes" / f"{name}.json"
