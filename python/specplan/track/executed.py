"""The run of `exp.run()` while it goes on, as its program sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.run.hooks import Hooks
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.run.context import Context
    from specplan.track.background import Background
    from specplan.track.destination import Destination

PLAN = "plan"
"""What a document of the field `about` calls the id of the plan of a run that was sent: no program goes on with that run."""


class Executed:
    """The run of a plan, which takes what is said of its experiment meanwhile. It begins and ends as its plan does.

    Args:
        begun: called with what takes it as it begins, and with the id of the plan where it is sent.
        ended: called when it takes no more.
        destination: where the run is sent; None for nowhere.

    Attributes:
        run: what takes it; None before the beginning.
        background: sends it, where it is sent.
        is_kept_elsewhere: whether the server has all of it, and is the only one that is to keep it.
    """

    def __init__(
        self,
        begun: Callable[[Executed, TrackedRun, str | None], None],
        ended: Callable[[Executed, TrackedRun], None],
        destination: Destination | None,
    ) -> None:
        self.run: TrackedRun | None = None
        self.background: Background | None = None
        self.is_kept_elsewhere = False
        self._begun = begun
        self._ended = ended
        self._destination = destination

    @property
    def hooks(self) -> Hooks:
        """What makes a plan this run. They come before those that say something of it."""
        return Hooks(run_started=(self._started,))

    def close(self) -> None:
        """Take no more, and send the rest of it: the plan is over."""
        if self.run is None:
            return
        self._ended(self, self.run)
        self.run.leave()
        if self._destination is not None:
            self.is_kept_elsewhere = self._destination.settle(self.run.folder, self.background)

    def _started(self, context: Context) -> None:
        self.run = TrackedRun(context.journal, context.recorder, {})
        if self._destination is not None:
            self.background = self._destination.follow(self.run.folder)
        self._begun(self, self.run, None if self.background is None else context.plan.id)
