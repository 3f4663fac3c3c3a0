"""The unit of work of a sweep, for whatever starts it: a plan and the run folder that is to hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.errors import RunError
from specplan.results.status import read_run_file, status_now
from specplan.run.hooks import NO_HOOKS, Hooks
from specplan.run.resume import resume_run
from specplan.run.run import run_plan
from specplan.store.layout import experiment_folder, root_of
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from specplan.plan.model import Compiled
    from specplan.run.display import Display
    from specplan.store.layout import RunFolder


def exec_plan(
    compiled: Compiled,
    folder: RunFolder,
    *,
    display: Display,
    trust: bool = False,
    hooks: Hooks = NO_HOOKS,
) -> Status:
    """Bring a plan to its end in a run folder, whatever was done of it before; returns how it ended.

    It can be called again, by any process and at any time: a run that is over stays as it is, one that was
    stopped or killed goes on from its newest checkpoint, one that failed is tried again. The folder is
    `<root>/<experiment>/<run id>`. Nothing beside it is read or written but the data, so that a queue of
    a cluster needs to know no more than the two arguments.

    Raises:
        RunError: the folder holds a run of another plan, or another process runs it.
        The errors of `run_plan` and `resume_run`.
    """
    name = compiled.plan.experiment.id
    root = root_of(folder, name)
    if experiment_folder(root, name) != folder.path.parent:
        raise RunError(f"`{folder.path}` is no folder of experiment `{name}`: `.../{name}/RUN` is")
    if not folder.run_file.is_file():
        run_plan(
            compiled, root=root, display=display, run_id=folder.path.name, trust=trust, hooks=hooks
        )
        return Status.COMPLETED
    run_file = read_run_file(folder)
    if run_file.plan_id != compiled.plan.id:
        raise RunError(
            f"`{folder.path}` is a run of another plan: {run_file.plan_id}, not {compiled.plan.id}"
        )
    status = status_now(run_file)
    if status.is_concluded:
        return status
    resume_run(folder, display=display, trust=trust, hooks=hooks)
    return Status.COMPLETED
