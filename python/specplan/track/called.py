"""`helper.xp`: the experiment of the run that calls a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.results.settings import read_params
from specplan.store.layout import root_of
from specplan.track.experiment_block import experiment
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from contextlib import ExitStack

    from specplan.run.context import Context


def called_experiment(context: Context, *, max_jobs: int) -> experiment:
    """The experiment whose run calls a function: it has jobs and services.

    Args:
        context: of that run.
        max_jobs: how many of its jobs run at a time.
    """
    journal, name = context.journal, context.journal.run_file.experiment

    def begin(opened: ExitStack) -> TrackedRun:
        run = TrackedRun(journal, context.recorder, read_params(journal.folder))
        opened.callback(run.leave)
        return run

    return experiment.of_run(root_of(journal.folder, name), name, begin, max_jobs=max_jobs)
