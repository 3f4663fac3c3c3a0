"""Sending a run while its program goes on. Whatever happens to the place it is sent to, the program does not notice."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Protocol

from specplan.errors import RemoteError, SpecplanError

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder

SECONDS_BETWEEN = 1.0
"""Between two looks for what is new."""
LONGEST_DELAY = 60.0
"""Between two attempts to reach a place that does not answer; the first comes after `SECONDS_BETWEEN`."""
PATIENCE = 10.0
"""How long the end of a run waits for a place that does not answer; one that does gets everything."""
SIGN_OF_LIFE = 120.0
"""After this long without news the place is told that the run goes on."""
_MAY_PASS = (408, 409, 423, 425, 429)
_LOG = logging.getLogger("specplan.track")


class Sending(Protocol):
    """Sends what a place lacks of a run, each time that it is asked to. It reads the run folder, as any reader does."""

    @property
    def place(self) -> str:
        """Where it goes, as `mlx sync --to` takes it."""
        ...

    def send(self) -> None:
        """Send what is committed. Raises RemoteError where the place does not answer, or refuses."""
        ...

    def send_status(self) -> None:
        """Say how the run stands. Raises RemoteError as `send`."""
        ...

    def unsent(self) -> int:
        """How many records the place is not known to have; any thread may ask."""
        ...

    def close(self) -> None:
        """Let go of the place."""
        ...


class Background:
    """A thread that sends what is committed to the files of a run, again and again until it is closed.

    Args:
        folder: of the run.
        sending: what sends it; the thread's own from now on.
        patience: how long `close` waits, whatever the place does. By default it waits `PATIENCE` for one
            that does not answer, and until one that does has everything.
    """

    def __init__(
        self, folder: RunFolder, sending: Sending, *, patience: float | None = None
    ) -> None:
        self._folder = folder
        self._sending = sending
        self._patience = patience
        self._changed = threading.Condition()
        self._asked = 0
        self._tried = 0
        self._deadline: float | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="specplan-upload", daemon=True)
        self._thread.start()

    def flush(self, seconds: float = PATIENCE) -> bool:
        """Wait until what was committed so far is sent, at most `seconds`; says whether it is.

        While the place does not answer nothing is waited for: the next attempt comes when it comes.
        """
        with self._changed:
            if self._failure is not None:
                return False
            self._asked += 1
            wanted = self._asked
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._tried >= wanted or not self._thread.is_alive(), seconds
            )
            return self._tried >= wanted and self._failure is None

    def close(self) -> bool:
        """Send the rest of a run that is over, and how it ended; says whether the place has everything.

        Otherwise what it lacks is counted and said in a warning of the log.
        """
        patience = PATIENCE if self._patience is None else self._patience
        with self._changed:
            self._deadline = time.monotonic() + patience
            self._asked += 1
            self._changed.notify_all()
        self._thread.join(self._patience)
        if self._thread.is_alive():
            self._say_unsent(f"it takes longer than {patience:g} s")
            return False
        if self._failure is not None:
            self._say_unsent(str(self._failure))
        return self._failure is None

    def _say_unsent(self, reason: str) -> None:
        try:
            count = self._sending.unsent()
            unsent = f"{count} records" if count else "the end"
        except SpecplanError as error:
            unsent = f"what cannot be read ({error})"
        _LOG.warning(
            "%s of run `%s` could not be sent: %s; they are kept, and `mlx sync %s --to %s` sends them",
            *(unsent, self._folder.path.name, reason, self._folder.path, self._sending.place),
        )

    def _work(self) -> None:
        try:
            self._send_again_and_again()
        finally:
            self._sending.close()

    def _send_again_and_again(self) -> None:
        delay = SECONDS_BETWEEN
        told = time.monotonic()
        while True:
            with self._changed:
                asked, is_last = self._asked, self._deadline is not None
            try:
                self._sending.send()
                if is_last or time.monotonic() - told > SIGN_OF_LIFE:
                    self._sending.send_status()
                    told = time.monotonic()
                failure: Exception | None = None
            except Exception as error:  # noqa: BLE001 -- a program never fails for what is sent of it
                failure = error
            delay = SECONDS_BETWEEN if failure is None else min(2 * delay, LONGEST_DELAY)
            with self._changed:
                self._tried, self._failure = asked, failure
                self._changed.notify_all()
                if self._is_over(is_last=is_last):
                    return
                self._changed.wait_for(self._is_awaited, SECONDS_BETWEEN if is_last else delay)

    def _is_over(self, *, is_last: bool) -> bool:
        if self._failure is None:
            return is_last
        is_late = self._deadline is not None and time.monotonic() > self._deadline
        return is_late or not _may_pass(self._failure)

    def _is_awaited(self) -> bool:
        """Whether somebody waits for an attempt that has not begun."""
        return self._asked > self._tried


def _may_pass(failure: Exception) -> bool:
    """Whether a later attempt may succeed."""
    if not isinstance(failure, RemoteError) or failure.status is None:
        return isinstance(failure, RemoteError)
    return failure.status in _MAY_PASS or failure.status >= 500
