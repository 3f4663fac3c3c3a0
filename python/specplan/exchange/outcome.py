"""What was sent."""

from __future__ import annotations

import msgspec


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
            counted(self.params, "param"),
            counted(self.metrics, "value", " of metrics"),
            counted(self.artifacts, "artifact"),
        )
        return f"{self.run}  {self.to}  {', '.join(counts)}"


def counted(count: int, noun: str, rest: str = "") -> str:
    """A number and what it counts: `1 artifact`, `2 artifacts`."""
    return f"{count} {noun}{'' if count == 1 else 's'}{rest}"
