"""Sending from a thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from specplan.track import sender
from specplan.track.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def test_what_does_not_fit_is_counted_as_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "MOST_WAITING", 2)
    may_send = threading.Event()
    sent: list[int] = []

    def send(entries: Sequence[int]) -> None:
        may_send.wait()
        sent.extend(entries)

    sending = Sender(send, "test")
    sending.put(*range(10))
    assert sending.missed == 10
    may_send.set()
    assert sending.close(10) == 10 - len(sent)
    assert sent == [*range(len(sent))]
