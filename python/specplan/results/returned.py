"""What callbacks returned in the phases of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from specplan.store.documents import channel_of, documents
from specplan.store.fields import RETURNED
from specplan.store.recorder import beside

if TYPE_CHECKING:
    from specplan._native import StoreReader


class Returned(TypedDict):
    """One value that a hook returned (docs/format.md)."""

    label: str
    kind: Literal["metric", "artifact", "payload"]
    epoch: int | None
    batch: int | None
    edge: str
    name: NotRequired[str]
    value: Any


def returned(records: StoreReader, phase: str) -> list[Returned]:
    """The values that hooks returned in a phase, in the order in which they came.

    Raises:
        StoreError: the records of them are damaged.
    """
    channel = channel_of(records, RETURNED, phase=beside(phase, "callbacks"))
    return documents(channel, Returned)
