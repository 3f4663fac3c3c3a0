"""Finding what a process that was stopped or killed left unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from specplan.errors import RunError
from specplan.plan.canonical import read_plan
from specplan.results.locate import runs_at
from specplan.results.status import read_run_file, status_now
from specplan.store.checkpoints import CheckpointFolder
from specplan.store.run_file import CONCLUDED

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


def needs_weights(folder: RunFolder) -> bool:
    """Whether a run can only begin again, with weights that it was given and did not store."""
    has_checkpoint = bool(CheckpointFolder(folder.checkpoints).numbers())
    return read_run_file(folder).given_state and not has_checkpoint


def stopped_run(experiment: Path, plan_id: str) -> RunFolder | None:
    """The newest run of a plan below the folder of an experiment; None where there is none, or it is complete.

    Raises:
        RunError: run.json of a run is damaged.
        PlanError: so is a plan.
    """
    for folder in reversed(runs_at(experiment)):
        # Runs of programs have plans too, and those of older versions other ids in run.json than now.
        if folder.plan_file.is_file() and read_plan(folder.plan_file).plan.id == plan_id:
            run_file = read_run_file(folder)
            if not folder.records.exists():
                raise RunError(
                    f"run `{folder.path}` kept its records in memory, and they are gone\n"
                    "hint: run it anew, or keep them: `ResultsConfig(save_execution=True)`"
                )
            return None if status_now(run_file) in CONCLUDED else folder
    return None
