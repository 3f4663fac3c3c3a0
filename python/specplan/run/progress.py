"""Telling a display how far a phase is, a few times a second."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specplan.plan.model import Phase
    from specplan.run.display import Display

_SECONDS = 0.2


class Progress:
    """Passes on only as many steps as a person can see.

    Attributes:
        due: when the clock `monotonic` will have the next one to pass on.
    """

    def __init__(self, display: Display, phase: Phase) -> None:
        self._display = display
        self._phase = phase
        self.due = monotonic() + _SECONDS

    def stepped(self, epoch: int, steps: int) -> None:
        """`steps` steps of `epoch` are done."""
        now = monotonic()
        if now >= self.due:
            self.due = now + _SECONDS
            self._display.progressed(self._phase, epoch, steps)
