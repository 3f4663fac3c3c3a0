"""SIGINT and SIGTERM end a run at a boundary between steps; a second signal ends the process at once."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from specplan.errors import CAN_BE_RESUMED, RunStopped
from specplan.run.deadline import grace_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TaskCancelled(SystemExit):
    """SIGTERM came while code of the user's ran. What it does now has to be short.

    Attributes:
        remaining_time: seconds until the process is killed, if that is known.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.remaining_time = grace_seconds()


class Interruption:
    """Whether the run was asked to end.

    Attributes:
        requested: the signal that asked, None as long as there was none. Loops look at it between
            steps and call `deliver` when it is set.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._at_once = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal raise where it comes: code of the user's has no boundaries between steps."""
        self.deliver()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def note(self, number: int) -> None:
        """A signal came."""
        self.requested = number
        if self._at_once:
            self.deliver()

    def stopped(self) -> BaseException:
        """What ends a run that can be resumed."""
        return RunStopped() if self.requested == signal.SIGINT else SystemExit(CAN_BE_RESUMED)

    def deliver(self) -> None:
        """Raise what a signal asked for: KeyboardInterrupt for SIGINT, TaskCancelled for SIGTERM."""
        if self.requested == signal.SIGINT:
            raise KeyboardInterrupt
        if self.requested is not None:
            raise TaskCancelled(128 + self.requested)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note signals instead of raising them. Outside the main thread, signals are not ours and stay as they are."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def note(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        interruption.note(number)

    # Shells make their background jobs ignore SIGINT; one that is sent on purpose still counts.
    handled = {each: signal.signal(each, note) for each in _SIGNALS}
    try:
        yield interruption
    finally:
        for each, old in handled.items():
            signal.signal(each, old or signal.SIG_DFL)
    interruption.deliver()
