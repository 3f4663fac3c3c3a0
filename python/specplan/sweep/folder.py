"""The folder of a sweep, beside the runs of its experiment: which runs belong to it, and its table of metrics.

<root>/<experiment>/sweep-<time>/
  sweep.json   points and their runs, replaced as a whole
  metrics/     <run>.parquet, the metrics of a run that is over with the values of its point
  logs/        what the processes that ran the plans printed

How a run stands is nowhere but in the run itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.files import write_atomically
from specplan.errors import RunError
from specplan.results.locate import all_runs
from specplan.results.status import read_run_file, status_now
from specplan.store.checked_json import encode_checked
from specplan.store.layout import SWEEP_FILE, SWEEP_PREFIX, RunFolder, experiment_folder
from specplan.store.run_file import Status
from specplan.store.run_files import free_id, locked
from specplan.store.sweep_file import SweepFile, SweepPoint, read_sweep_file

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = "run.seed"
"""What each point is given several values of, where it is to have several seeds."""


class SweepFolder:
    """The folder of one sweep. One process at a time writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = read_sweep_file(path / SWEEP_FILE)
        self._runs = _runs_by_plan(self.file)
        self._others: dict[Path, tuple[tuple[int, int], dict[str, str]]] = {}

    @property
    def metrics(self) -> Path:
        """The tables of the runs, which readers of Parquet take as one."""
        return self.path / "metrics"

    @property
    def logs(self) -> Path:
        """What the processes printed."""
        return self.path / "logs"

    def run_of(self, point: SweepPoint) -> RunFolder:
        """The run folder of a point, whether or not it is there yet."""
        return RunFolder(self.path.parent / point.run)

    def status_of(self, point: SweepPoint) -> Status:
        """How the run of a point stands; `created` where it has not begun."""
        folder = self.run_of(point)
        return status_now(read_run_file(folder)) if folder.run_file.is_file() else Status.CREATED

    def add(self, values: dict[str, Any], plan_id: str) -> SweepPoint:
        """Add a point; `save` writes it down, before its run begins.

        The run of a plan that is run already, here or in another sweep of the experiment, is its run.
        """
        known = self._runs.get(plan_id) or self._run_elsewhere(plan_id)
        stamp, index = self.file.id.removeprefix(SWEEP_PREFIX), len(self.file.points)
        run = f"{stamp}-{index:03}" if known is None else known
        point = SweepPoint(index=index, run=run, plan_id=plan_id, values=values)
        self._runs[plan_id] = run
        self.file = msgspec.structs.replace(self.file, points=(*self.file.points, point))
        return point

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process from working on it.

        Raises:
            RunError: one does.
        """
        refused = (
            f"another process works on sweep `{self.path}`\n"
            "hint: `mlx sweep SPEC --status` shows how it stands"
        )
        with locked(self.path, refused=refused):
            yield

    def save(self) -> None:
        """Write the points down."""
        write_atomically(self.path / SWEEP_FILE, encode_checked(self.file))

    def _run_elsewhere(self, plan_id: str) -> str | None:
        """The run of a plan in another sweep of the experiment; a file is read again only once it was replaced."""
        for path in _sweep_files(self.path.parent):
            stat = path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns)
            if path.parent != self.path and self._others.get(path, ((), {}))[0] != stamp:
                self._others[path] = (stamp, _runs_by_plan(read_sweep_file(path)))
        found = (runs[plan_id] for _, runs in self._others.values() if plan_id in runs)
        return next(found, None)


def open_sweep(root: Path, made: SweepFile) -> SweepFolder:
    """The folder of a sweep that was begun, or else a new one, by its `key`. `made` has no id yet."""
    experiments = experiment_folder(root, made.experiment)
    experiments.mkdir(parents=True, exist_ok=True)
    with locked(experiments):
        found = find_sweep(experiments, made.key)
        if found is not None:
            return found
        name = SWEEP_PREFIX + free_id(experiments, datetime.now(UTC), before=SWEEP_PREFIX)
        # A folder without its file is no sweep, so that one that was made and not begun is in no way.
        (experiments / name).mkdir()
        write_atomically(
            experiments / name / SWEEP_FILE, encode_checked(msgspec.structs.replace(made, id=name))
        )
    return SweepFolder(experiments / name)


def find_sweep(experiments: Path, key: str) -> SweepFolder | None:
    """The newest sweep of an experiment with a key; None where there is none."""
    found = [folder for folder in sweeps_of(experiments) if folder.file.key == key]
    return found[-1] if found else None


def named_sweep(name: str, root: Path) -> SweepFolder | None:
    """The sweep that `name` means: its folder, `<experiment>/<sweep>`, or its id; None where it means none.

    Raises:
        RunError: the sweep is damaged, or its id occurs in several experiments.
    """
    for path in (Path(name), root / name):
        if (path / SWEEP_FILE).is_file():
            return SweepFolder(path)
    if "/" in name or not name.startswith(SWEEP_PREFIX):
        return None
    experiments = sorted({folder.path.parent for folder in all_runs(root)})
    found = [path / name for path in experiments if (path / name / SWEEP_FILE).is_file()]
    if len(found) > 1:
        places = ", ".join(f"`{path.relative_to(root).as_posix()}`" for path in found)
        raise RunError(f"several sweeps are called `{name}`: {places}")
    return SweepFolder(found[0]) if found else None


def sweeps_of(experiments: Path) -> Iterator[SweepFolder]:
    """The sweeps of an experiment, oldest first."""
    for path in _sweep_files(experiments):
        yield SweepFolder(path.parent)


def _sweep_files(experiments: Path) -> list[Path]:
    return sorted(experiments.glob(f"{SWEEP_PREFIX}*/{SWEEP_FILE}"))


def _runs_by_plan(file: SweepFile) -> dict[str, str]:
    """The run of each plan: that of its first point."""
    return {point.plan_id: point.run for point in reversed(file.points)}
