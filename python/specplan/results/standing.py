"""How the experiments below a root stand: the newest run of each, once or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.errors import RunError, StoreError
from specplan.results.course import Course
from specplan.results.jobs import JobState, jobs_of
from specplan.results.locate import all_runs, experiment_of
from specplan.results.open import Run
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from pathlib import Path

_DONE_PHASES = (Status.COMPLETED, Status.SKIPPED)
_MOST_MESSAGES = 20
SPARKS = "▁▂▃▄▅▆▇█"


class Standing(msgspec.Struct, frozen=True):
    """The newest run of an experiment.

    Attributes:
        done: jobs that are done, or phases that are over; of `total`.
        jobs: the names of the folders of its jobs, which are experiments below it.
        epoch: the latest epoch of the newest phase.
        metrics: the last values of each metric of that phase, oldest first; of the system in `system`.
    """

    experiment: str
    run_id: str
    host: str
    status: Status
    started_at: str
    done: int
    total: int
    epoch: int | None = None
    jobs: tuple[str, ...] = ()
    metrics: dict[str, tuple[float, ...]] = {}
    system: dict[str, tuple[float, ...]] = {}


def standings(root: Path) -> list[Standing]:
    """The newest run of every experiment that is no job of another one, by name. Damaged runs are left out."""
    found = Watch(root, with_metrics=False).look()
    jobs = {f"{each.experiment}/{folder}" for each in found for folder in each.jobs}
    return [each for each in found if each.experiment not in jobs]


class Watch:
    """Looks at the newest run of every experiment, each time only at what is new. Writes nothing, takes no lock."""

    def __init__(self, root: Path, *, with_metrics: bool = True) -> None:
        self._root = root
        self._with_metrics = with_metrics
        self._watched: dict[str, _Watched] = {}

    def look(self) -> list[Standing]:
        """How they stand now, by the name of the experiment. Damaged runs are left out."""
        newest = {experiment_of(folder, self._root): folder for folder in all_runs(self._root)}
        found = []
        for name, folder in newest.items():
            known = self._watched.get(name)
            try:
                if known is None or known.run.folder != folder:
                    known = self._watched[name] = _Watched(Run(folder))
                found.append(known.standing(name, with_metrics=self._with_metrics))
            except (RunError, StoreError):
                continue
        return found

    def log_of(self, experiment: str) -> list[str]:
        """The last lines that the newest run of an experiment has told: messages, warnings, its error."""
        known = self._watched.get(experiment)
        return [] if known is None else known.log()


class _Watched:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.course = Course(run.folder.records)

    def standing(self, name: str, *, with_metrics: bool) -> Standing:
        run = self.run.refresh()
        session = run.run_file.sessions[-1]
        if with_metrics:
            self.course.refresh()
        done, total = (
            sum(phase.status in _DONE_PHASES for phase in run.phases),
            len(run.plan.phases),
        )
        jobs = [] if total else jobs_of(run)
        if jobs:
            done, total = sum(job.state is JobState.DONE for job in jobs), len(jobs)
        return Standing(
            experiment=name,
            run_id=run.id,
            host=session.host,
            status=run.status,
            started_at=session.started_at,
            done=done,
            total=total,
            epoch=self.course.epoch,
            jobs=tuple(job.folder for job in jobs),
            metrics=self.course.metrics,
            system=self.course.system,
        )

    def log(self) -> list[str]:
        folder = self.run.folder
        messages = [
            f"[{entry['level'].upper()}] {entry['message']}"
            for entry in self.run.documents("log", most=_MOST_MESSAGES)
        ]
        for path in (folder.warnings_log, folder.error_log):
            if path.is_file():
                messages += path.read_text("utf-8", errors="replace").splitlines()
        return messages[-_MOST_MESSAGES:]


def sparkline(values: tuple[float, ...], width: int = 16) -> str:
    """The last values as a line of blocks; a value that is not finite is a gap."""
    shown = values[-width:]
    finite = [value for value in shown if abs(value) < float("inf")]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    steps = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        SPARKS[round((value - low) * steps)] if abs(value) < float("inf") else " "
        for value in shown
    )
