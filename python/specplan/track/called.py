"""`helper.xp`: the experiment of the run that calls a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.results.settings import read_params
from specplan.spec.model import DirtyGitAction
from specplan.track.experiment_block import experiment
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from contextlib import ExitStack

    from specplan.run.context import Context


class CalledExperiment(experiment):
    """As `experiment`, but its run is that of a plan, which begins and ends it. It has jobs and services.

    Args:
        context: of the run that calls the function.
        max_jobs: how many of its jobs run at a time.
    """

    def __init__(self, context: Context, *, max_jobs: int) -> None:
        name, folder = context.journal.run_file.experiment, context.journal.folder.path
        super().__init__(
            folder.parents[name.count("/") + 1],
            name,
            dirty_git=DirtyGitAction.IGNORE,  # the plan has looked
            max_jobs=max_jobs,
        )
        self._context = context

    def _begin(self, opened: ExitStack) -> None:
        context = self._context
        params = read_params(context.journal.folder)
        self._run = TrackedRun(context.journal, context.recorder, params)
        opened.callback(self._run.leave)
