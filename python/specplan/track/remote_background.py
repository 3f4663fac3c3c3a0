"""Sending a run while its program goes on. Whatever happens to the server, the program does not notice."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from specplan.errors import RemoteError, StoreError
from specplan.track.remote import Upload

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder
    from specplan.track.remote_client import Server

SECONDS_BETWEEN = 1.0
"""Between two looks for what is new."""
LONGEST_DELAY = 60.0
"""Between two attempts to reach a server that does not answer; the first comes after `SECONDS_BETWEEN`."""
PATIENCE = 10.0
"""How long the end of a run waits for a server that does not answer; one that does gets everything."""
SIGN_OF_LIFE = 120.0
"""After this long without news the server is told that the run goes on."""
_MAY_PASS = (408, 409, 423, 425, 429)
_LOG = logging.getLogger("specplan.track")


class Background:
    """A thread that sends what is committed to the files of a run, again and again until it is closed.

    It reads the run folder as any reader does: the program does nothing for it.

    Args:
        folder: of the run.
        server: where it is sent; the thread's own from now on.
    """

    def __init__(self, folder: RunFolder, server: Server) -> None:
        self._folder = folder
        self._server = server
        self._upload = Upload(folder, server)
        self._changed = threading.Condition()
        self._asked = 0
        self._tried = 0
        self._deadline: float | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="specplan-upload", daemon=True)
        self._thread.start()

    def flush(self, seconds: float = PATIENCE) -> bool:
        """Wait until what was committed so far is sent, at most `seconds`; says whether it is.

        While the server does not answer nothing is waited for: the next attempt comes when it comes.
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
        """Send the rest of a run that is over, and how it ended; says whether the server has everything.

        Otherwise what it lacks is counted and said in a warning of the log.
        """
        with self._changed:
            self._deadline = time.monotonic() + PATIENCE
            self._asked += 1
            self._changed.notify_all()
        self._thread.join()
        self._server.close()
        if self._failure is not None:
            _LOG.warning(
                "%s of run `%s` could not be sent: %s; they are kept, and "
                "`mlx sync %s --to %s` sends them, as the next session of the run does",
                self._unsent(),
                self._folder.path.name,
                self._failure,
                self._folder.path,
                self._server.url,
            )
        return self._failure is None

    def _unsent(self) -> str:
        try:
            lacking = self._upload.unsent()
        except StoreError as error:
            return f"what cannot be read ({error})"
        count = lacking.rows + lacking.points + lacking.files
        return f"{count} records" if count else "the end"

    def _work(self) -> None:
        delay = SECONDS_BETWEEN
        told = time.monotonic()
        while True:
            with self._changed:
                asked, is_last = self._asked, self._deadline is not None
            try:
                self._upload.send()
                if is_last or time.monotonic() - told > SIGN_OF_LIFE:
                    self._upload.send_status()
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
