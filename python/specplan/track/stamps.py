"""Times of rows of metrics and entries of tracks: that of the one before in a thread can be taken again."""

from __future__ import annotations

import threading
import time

PREVIOUS = -1
"""The `_ts` that means the time of the row or entry before, in this thread."""


class _Last(threading.local):
    stamp: float | None = None


_LAST = _Last()


def stamp_of(given: float | None) -> float:
    """The time in seconds that a program means: what it gives, now, or that of before."""
    if given is None or (given == PREVIOUS and _LAST.stamp is None):
        _LAST.stamp = time.time()
    elif given != PREVIOUS:
        _LAST.stamp = given
    assert _LAST.stamp is not None
    return _LAST.stamp
