"""What was sent."""

from __future__ import annotations

import msgspec

from specplan.base.amounts import count


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a place did not have of a run and got, or would get.

    Attributes:
        refused: what the place cannot hold, in words.
    """

    run: str
    to: str
    params: int
    metrics: int
    artifacts: int
    refused: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = (
            count(self.params, "param"),
            count(self.metrics, "value") + " of metrics",
            count(self.artifacts, "artifact"),
        )
        return f"{self.run}  {self.to}  {', '.join(counts)}"
