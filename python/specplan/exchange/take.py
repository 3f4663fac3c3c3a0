"""A run of another tool as a run folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from specplan.base.files import this_host, write_atomically
from specplan.results.locate import runs_of
from specplan.results.status import read_run_file
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder, experiment_folder
from specplan.store.run_file import Status
from specplan.store.run_files import locked
from specplan.track.names import as_experiment, as_part
from specplan.track.portable import moment_of
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from specplan.track.portable import Portable


def take(found: Portable, root: Path, *, source: str) -> RunFolder | None:
    """Make the run folder of a run; it appears whole. None where it is there already.

    Args:
        found: the run.
        root: folder of all runs.
        source: which tool it comes from.

    Raises:
        RunError, StoreError, OSError: it cannot be written.
    """
    experiment = as_experiment(found.experiment)
    name = as_part(found.name)
    experiments = experiment_folder(root, experiment)
    if (experiments / name).exists():
        return None
    experiments.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".import-", suffix=f".{this_host()}-{os.getpid()}.tmp", dir=root
    ) as aside:
        version = 1 + sum(1 for _ in runs_of(experiments))
        run = TrackedRun.start(
            Path(aside),
            experiment,
            run_id=name,
            version=version,
            description=found.description,
            tags=found.tags,
            surroundings={"imported": {"from": source, "experiment": found.experiment}},
        )
        try:
            _fill(run, found)
        except BaseException:
            run.end(Status.FAILED)  # nobody else knows of the thread that records
            raise
        _date(run.folder, found)
        target = RunFolder(experiments / name)
        with locked(experiments):
            if target.path.exists():
                return None
            run.folder.path.rename(target.path)
    return target


def _fill(run: TrackedRun, found: Portable) -> None:
    if found.params:
        run.set_params(found.params)
    for series, points in found.series.items():
        run.record_points(series, points)
    for file in found.files:
        run.log_artifact(file.name, file.path)
    run.end(found.status)


def _date(folder: RunFolder, found: Portable) -> None:
    """Let run.json say when the run was, and not when and where it was taken."""
    run_file = read_run_file(folder)
    (session,) = run_file.sessions
    started = session.started_at if found.started_at is None else moment_of(found.started_at)
    ended = started if found.ended_at is None else moment_of(found.ended_at)
    session = msgspec.structs.replace(session, started_at=started, ended_at=ended, host="")
    dated = msgspec.structs.replace(run_file, created_at=started, sessions=(session,), versions={})
    write_atomically(folder.run_file, encode_checked(dated))
