"""Finding what a process that was stopped or killed left unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from specplan.plan.canonical import read_plan
from specplan.results.locate import runs_at
from specplan.results.status import read_run_file, status_now
from specplan.store.checkpoints import CheckpointFolder

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.store.layout import RunFolder


class Stopped(NamedTuple):
    """A run to go on with.

    Attributes:
        allow_changes: whether also where what decides its bits is not what it was.
    """

    folder: RunFolder
    allow_changes: bool


def begins_again(folder: RunFolder, *, has_weights: bool) -> bool:
    """Whether a run cannot go on, but can be made anew with the weights that there are.

    Its records were in memory, or it has no checkpoint and began with weights that it did not store.
    """
    given = read_run_file(folder).given_state
    if given and not has_weights:
        return False
    has_checkpoint = bool(CheckpointFolder(folder.checkpoints).numbers())
    return not folder.records.exists() or (given and not has_checkpoint)


def stopped_run(experiment: Path, plan_id: str) -> RunFolder | None:
    """The newest run of a plan below the folder of an experiment; None where there is none, or it is complete.

    Raises:
        RunError: run.json of a run is damaged.
        PlanError: so is a plan.
    """
    for folder in reversed(runs_at(experiment)):
        # Runs of programs have plans too, and those of older versions other ids in run.json than now.
        if folder.plan_file.is_file() and read_plan(folder.plan_file).plan.id == plan_id:
            return None if status_now(read_run_file(folder)).is_concluded else folder
    return None
