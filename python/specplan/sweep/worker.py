"""A process that runs plans, one after the other, until nobody sends it more: `python -m specplan.sweep.worker`.

What libraries and code of the user print goes to its log: the pipe is for messages only.
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from specplan.errors import PrunedError, SpecplanError
from specplan.run.display import Silent, values_text
from specplan.run.exec import exec_plan
from specplan.run.hooks import Hooks, PhaseHooks
from specplan.store.layout import RunFolder
from specplan.store.run_file import Status
from specplan.sweep.messages import (
    ORDERS,
    VERDICTS,
    Ended,
    Measured,
    Progressed,
    Watch,
    line,
    steps_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from specplan.plan.model import Phase, Plan
    from specplan.run.context import Context
    from specplan.sweep.messages import Message, Order

SECONDS_BETWEEN_MESSAGES = 0.2
STDIN, STDOUT = 0, 1


def main() -> None:
    """Take orders from stdin and answer on what was stdout."""
    inbox, outbox = os.fdopen(os.dup(STDIN), "rb"), os.fdopen(os.dup(STDOUT), "wb", buffering=0)
    os.dup2(2, STDOUT)
    alone = _Watchman(inbox)
    for said in inbox:
        order = ORDERS.decode(said)
        with alone:
            ended = _run(order, inbox, outbox)
        outbox.write(line(ended))
        if ended.status is Status.INTERRUPTED:
            break


def _run(order: Order, inbox: BinaryIO, outbox: BinaryIO) -> Ended:
    def say(message: Message) -> None:
        outbox.write(line(message))

    def judged(epoch: int, value: float) -> str | None:
        say(Measured(epoch, None if math.isnan(value) else value))
        return VERDICTS.decode(inbox.readline()).reason

    hooks = Hooks() if order.watch is None else watching(order.watch, judged)
    folder = RunFolder(Path(order.run))
    try:
        display = _Telling(order.plan, say)
        status = exec_plan(order.compiled, folder, display=display, trust=order.trust, hooks=hooks)
    except SpecplanError as error:
        return Ended(Status.after(error), str(error))
    except (KeyboardInterrupt, SystemExit):
        return Ended(Status.INTERRUPTED)
    return Ended(status)


def watching(watch: Watch, judged: Callable[[int, float], str | None]) -> Hooks:
    """Hooks that ask after each epoch of a phase, and end the run before the next one where it is told so."""

    def inside(phase: Phase, _: Context) -> PhaseHooks:
        if phase.path != watch.phase:
            return PhaseHooks()
        reasons: list[str] = []

        def epoch_ended(epoch: int, values: Mapping[str, float]) -> Mapping[str, float]:
            if watch.metric in values:
                reason = judged(epoch, values[watch.metric])
                if reason is not None:
                    reasons.append(reason)
            return {}

        # Not where the epoch ends: only then is all of it recorded.
        def epoch_started(_: int) -> None:
            if reasons:
                raise PrunedError(reasons[0])

        return PhaseHooks(epoch_started=(epoch_started,), epoch_ended=(epoch_ended,))

    return Hooks(inside=(inside,))


class _Watchman:
    """Ends a run, as SIGTERM does, when the process that gave the order is gone."""

    def __init__(self, inbox: BinaryIO) -> None:
        self._busy = threading.Event()
        self._inbox = inbox
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> None:
        self._busy.set()

    def __exit__(self, *_: object) -> None:
        self._busy.clear()

    def _watch(self) -> None:
        hung_up = select.poll()
        hung_up.register(self._inbox, 0)  # what comes in is not for us, and its end always told
        hung_up.poll()
        if self._busy.is_set():
            os.kill(os.getpid(), signal.SIGTERM)


class _Telling(Silent):
    """Tells how far a run is, a few times a second."""

    def __init__(self, plan: Plan, say: Callable[[Message], None]) -> None:
        self._say = say
        self._before = {}
        done = 0
        for phase in plan.phases:
            self._before[phase.path] = done
            done += steps_of(phase)
        self._due = 0.0
        self._text = ""

    def progressed(self, phase: Phase, epoch: int, step: int) -> None:
        self._tell(phase, epoch * phase.steps + step)

    def epoch_ended(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        self._text = "  ".join([f"{phase.path} {epoch}", *values_text(values)])
        self._tell(phase, (epoch + 1) * phase.steps)

    def _tell(self, phase: Phase, done: int) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + SECONDS_BETWEEN_MESSAGES
            self._say(Progressed(self._before[phase.path] + done, self._text or phase.path))


if __name__ == "__main__":
    main()
