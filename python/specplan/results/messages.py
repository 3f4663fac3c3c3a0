"""Messages that a program logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.store.fields import LOG

if TYPE_CHECKING:
    from specplan.results.open import Run


class Message(msgspec.Struct, frozen=True):
    """One message, with the values that were said beside it as `metadata`."""

    level: str
    message: str
    timestamp: str = ""
    metadata: dict[str, Any] | None = None


def messages_of(run: Run, most: int) -> list[Message]:
    """The last messages of a run, oldest first.

    Raises:
        StoreError: the records of them are damaged.
    """
    return run.documents(LOG, most=most, kind=Message)
