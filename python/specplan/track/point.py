"""One value of a metric, and what it is a value of."""

from __future__ import annotations

import msgspec

from specplan.store.recorder import WHOLE


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one metric, by what tells it from others."""

    name: str
    phase: str = ""
    node: str | None = None
    split: str | None = None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a series, and where it belongs.

    Attributes:
        epoch: `WHOLE` means all of them; so does `batch`.
        time: when it was measured, in nanoseconds since 1970; None for now.
    """

    value: float
    step: int
    epoch: int = WHOLE
    batch: int = WHOLE
    time: int | None = None
