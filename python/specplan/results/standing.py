"""How the experiments below a root stand: the newest run of each, once or again and again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from specplan.errors import RunError, StoreError
from specplan.plan.model import Call, Train
from specplan.results.course import MetricCourse
from specplan.results.jobs import JobState, jobs_of
from specplan.results.locate import all_runs, experiment_of
from specplan.results.messages import messages_of
from specplan.results.open import Run
from specplan.results.progress import Level, progress_of
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
        progress: how far it is: of what goes on now, as the program says it or else as its jobs, or epochs,
            are done; what is inside of that follows. Empty where nobody can tell.
        remaining_seconds: until that is over, if it goes on as it has so far; None where nobody can tell.
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
    progress: tuple[Level, ...] = ()
    remaining_seconds: float | None = None
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
        self.course = MetricCourse(run.folder)

    def standing(self, name: str, *, with_metrics: bool) -> Standing:
        run = self.run.refresh()
        session = run.run_file.sessions[-1]
        if with_metrics:
            self.course.refresh()
        done, total = (
            sum(phase.status in _DONE_PHASES for phase in run.phases),
            len(run.plan.phases),
        )
        calls = all(isinstance(phase, Call) for phase in run.plan.phases)
        jobs = jobs_of(run) if calls else []
        if jobs:
            done = sum(job.state is JobState.DONE for job in jobs)
            total = sum(job.state is not JobState.TRANSIENT for job in jobs)
        progress = self._progress(done, total if jobs else 0) if with_metrics else ()
        return Standing(
            experiment=name,
            run_id=run.id,
            host=session.host,
            status=run.status,
            started_at=session.started_at,
            done=done,
            total=total,
            epoch=self.course.epoch,
            progress=progress,
            remaining_seconds=self._remaining(progress),
            jobs=tuple(job.folder for job in jobs),
            metrics=self.course.metrics,
            system=self.course.system,
        )

    def _progress(self, done: int, jobs: int) -> tuple[Level, ...]:
        run = self.run
        if told := progress_of(run):
            return told
        if jobs:
            return (Level(done / jobs, "jobs"),)
        timings = run.run_file.phases
        open_ = timings[-1].path if timings and timings[-1].ended_at is None else None
        phase = next((each for each in run.plan.phases if each.path == open_), None)
        if not isinstance(phase, Train) or self.course.epoch is None:
            return ()
        return (Level(min((self.course.epoch + 1) / phase.epochs, 1.0), "epochs"),)

    def _remaining(self, progress: tuple[Level, ...]) -> float | None:
        if self.run.status is not Status.RUNNING or not progress or not 0 < progress[0].value < 1:
            return None
        timings, value = self.run.run_file.phases, progress[0].value
        begun = (timings or self.run.run_file.sessions)[-1].started_at
        elapsed = (datetime.now(UTC) - datetime.fromisoformat(begun)).total_seconds()
        return max(elapsed, 0.0) * (1 - value) / value

    def log(self) -> list[str]:
        folder = self.run.folder
        messages = [
            f"[{entry.level.upper()}] {entry.message}"
            for entry in messages_of(self.run, _MOST_MESSAGES)
        ]
        for path in (folder.warnings_log, folder.error_log):
            if path.is_file():
                messages += path.read_text("utf-8", errors="replace").splitlines()
        return messages[-_MOST_MESSAGES:]


def duration(seconds: float) -> str:
    """A time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


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
