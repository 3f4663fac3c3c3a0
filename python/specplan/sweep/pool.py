"""The processes that run the plans of a sweep, and what they say."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from specplan.store.run_file import Status
from specplan.sweep.messages import MESSAGES, Ended, line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from specplan.store.sweep_file import SweepPoint
    from specplan.sweep.messages import Message, Order, Verdict

SECONDS_OF_PATIENCE = 0.2
_COMMAND = (sys.executable, "-P", "-m", "specplan.sweep.worker")
"""`-P`: nothing is imported from the folder in which the command is called."""


class Worker:
    """One process.

    Attributes:
        point: whose run it has in hand.
        is_over: whether it has ended, or is about to.
    """

    def __init__(self, log: Path) -> None:
        self.point: SweepPoint | None = None
        self.log = log
        with log.open("ab") as said:
            # Of a session of its own: Ctrl-C on a terminal is for us, who pass it on in words of our own.
            self._process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        self._read = b""
        self._signalled: set[int] = set()
        self.is_over = False

    @property
    def output(self) -> int:
        """Descriptor of what it says."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def send(self, order: Order | Verdict) -> None:
        """Give it a job, or an answer. One that is gone is found out where it is listened to."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line(order))
            self._process.stdin.flush()

    def heard(self) -> Iterator[Message]:
        """What it has said; when it is gone, how."""
        said = os.read(self.output, 1 << 16)
        *lines, self._read = (self._read + said).split(b"\n")
        for each in lines:
            yield MESSAGES.decode(each)
        self.is_over = not said
        if not said and self.point is not None:
            yield self._gone()

    def signal(self, number: int) -> None:
        """Send it a signal, each only once: a second one would end a run at once."""
        if number not in self._signalled:
            self._signalled.add(number)
            self._process.send_signal(number)

    def close(self) -> None:
        """Let it end: there are no more jobs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _gone(self) -> Ended:
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            return Ended(Status.INTERRUPTED, f"its process was ended by {name}")
        return Ended(Status.FAILED, f"its process ended with exit code {code}: see {self.log}")


class Pool:
    """At most so many processes; each is started when there is a job for it, and has torch imported once."""

    def __init__(self, size: int, logs: Path) -> None:
        self._size = size
        self._logs = logs
        self._workers: list[Worker] = []
        self._started = 0
        self._selector = selectors.DefaultSelector()

    @property
    def busy(self) -> list[Worker]:
        """Those that have a run in hand."""
        return [worker for worker in self._workers if worker.point is not None]

    @property
    def has_room(self) -> bool:
        """Whether another run can begin."""
        return len(self.busy) < self._size

    def give(self, point: SweepPoint, order: Order) -> None:
        """Begin a run, in a process that has none."""
        worker = next((each for each in self._workers if each.point is None), None) or self._new()
        worker.point = point
        worker.send(order)

    def messages(self) -> Iterator[tuple[Worker, Message]]:
        """What is said within a moment."""
        for key, _ in self._selector.select(SECONDS_OF_PATIENCE):
            worker: Worker = key.data
            for message in worker.heard():
                yield worker, message
                if isinstance(message, Ended):
                    worker.point = None
                    worker.is_over |= message.status is Status.INTERRUPTED
            if worker.is_over:
                self._drop(worker)

    def signal(self, number: int) -> None:
        """Send all processes that have a run in hand a signal."""
        for worker in self.busy:
            worker.signal(number)

    def close(self) -> None:
        """End all processes that have no run in hand, and wait for the others."""
        for worker in list(self._workers):
            self._drop(worker)
        self._selector.close()

    def _new(self) -> Worker:
        self._started += 1
        self._logs.mkdir(exist_ok=True)
        worker = Worker(self._logs / f"worker-{self._started}.txt")
        self._workers.append(worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def _drop(self, worker: Worker) -> None:
        self._selector.unregister(worker.output)
        worker.close()
        self._workers.remove(worker)
