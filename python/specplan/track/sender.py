"""Sends what a program logs to another place, in a thread of its own: a slow or dead place holds up nothing."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Entry = TypeVar("Entry")

MOST_WAITING = 200_000
"""Entries that wait to be sent; more than that are missed at once."""
_TOGETHER = 1000


class Sender(Generic[Entry]):
    """Sends entries in their order, as many together as there are. What could not be sent is counted.

    Args:
        send: sends some entries, or raises.
        name: of the thread.
    """

    def __init__(self, send: Callable[[Sequence[Entry]], None], name: str) -> None:
        self._send = send
        self._waiting: queue.Queue[Entry | None] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._given = self._sent = 0
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def missed(self) -> int:
        """Entries that were put in and not sent so far."""
        with self._lock:
            return self._given - self._sent

    def put(self, *entries: Entry) -> None:
        """Have entries sent, if they can be."""
        with self._lock:
            self._given += len(entries)
        with contextlib.suppress(queue.Full):  # those are missed
            for entry in entries:
                self._waiting.put_nowait(entry)

    def close(self, patience: float) -> int:
        """Wait until everything is sent, at most `patience` seconds; returns how much was missed."""
        try:
            self._waiting.put(None, timeout=patience)
        except queue.Full:
            return self.missed
        self._thread.join(patience)
        return self.missed

    def _run(self) -> None:
        is_open = True
        while is_open:
            entries = self._next()
            is_open = entries[-1] is not None
            found = [entry for entry in entries if entry is not None]
            try:
                if found:
                    self._send(found)
            except Exception as error:  # noqa: BLE001 -- whatever a stranger's client raises
                self.error = error
            else:
                with self._lock:
                    self._sent += len(found)

    def _next(self) -> list[Entry | None]:
        """At least one entry, and those that wait behind it; None is the last."""
        entries = [self._waiting.get()]
        while entries[-1] is not None and len(entries) < _TOGETHER:
            try:
                entries.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return entries
