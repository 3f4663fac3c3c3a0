"""LocalExperimentTracker: runs as folders with plain files, which are run folders as well."""

from __future__ import annotations

import os
import warnings
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.files import write_atomically
from specplan.errors import RunError
from specplan.store.number import number
from specplan.track.curves import noted, restored
from specplan.track.names import check_experiment
from specplan.track.plain import decoded, encode, plain
from specplan.track.run import TrackedRun
from specplan.track.run_tracker import RunTracker
from specplan.track.tracker import ending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class LocalExperimentTracker(RunTracker):
    """Keeps each run in `<base_dir>/<run_name>/`.

    There are metadata.json, params.json, metrics.jsonl and `artifacts/`, for people and scripts, and
    beside them run.json and the records of every run folder: `mlx list` and `specplan.open` read them.

    Args:
        base_dir: folder of the runs; made with the first of them.
        tags: words to find the runs by.
        description: what they are for.
    """

    _no_run = "No active run. Call start_run() first."

    def __init__(
        self,
        base_dir: str | os.PathLike[str] = "experiments",
        *,
        tags: Mapping[str, str | None] | None = None,
        description: str = "",
    ) -> None:
        self.base_dir = Path(base_dir)
        self._tags, self._description = tags, description
        self.current_run: str | None = None
        self.run_dir: Path | None = None
        self._run: TrackedRun | None = None

    def start_run(self, run_name: str | None = None) -> str:
        """Start a run, or a new session of one that is there.

        Args:
            run_name: by default `run_` and the local time, with a number behind it where another run has
                that name. Of a run that is there, params and metrics stay and new ones are added.

        Returns:
            The name of the run. A run that is active ends first.

        Raises:
            ValueError: the name would leave the folder.
        """
        timestamp = f"{datetime.now().astimezone():%Y%m%d_%H%M%S}"
        if run_name:
            check_experiment(run_name, "a run")
        self.end_run()
        name = run_name or _new_folder(self.base_dir, f"run_{timestamp}")
        folder = self.base_dir / name
        self._run = TrackedRun.start_in(folder, description=self._description, tags=self._tags)
        self.run_dir, self.current_run = folder, name
        self._write_metadata({"run_name": name, "start_time": timestamp, "status": "running"})
        return name

    def start_new_run(self, run_name: str) -> str:
        """As `start_run`, and where a run has that name, one with a number behind it.

        Raises:
            ValueError: the name would leave the folder.
        """
        check_experiment(run_name, "a run")
        return self.start_run(_new_folder(self.base_dir, run_name))

    def log_params(self, params: dict[str, Any]) -> None:
        """Add params; one that is there is replaced.

        Raises:
            RuntimeError: no run is active.
            TypeError: a value is none that JSON holds.
        """
        self._active().set_params(params)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Record a value of each metric.

        Args:
            metrics: numbers by name, those of numpy and torch as well; NaN and infinity count.
            step: by default the one after the greatest of these metrics so far; the first is 0.

        Raises:
            RuntimeError: no run is active.
            TypeError: a value is no number; then nothing is recorded.
        """
        run = self._active()
        values = {name: _json_number(name, value) for name, value in metrics.items()}
        run.log_metrics(metrics, step=step)
        line = noted({"step": plain(step, "step"), "metrics": values})
        _append(self._folder() / "metrics.jsonl", msgspec.json.encode(line) + b"\n")

    def end_run(self, status: str = "completed") -> None:
        """End the active run as completed, failed or cancelled; without one nothing is done."""
        if self._run is None:
            return
        ended = ending(status)
        self._run.end(ended)
        file = self._folder() / "metadata.json"
        metadata: dict[str, Any] = decoded(file, file.read_bytes(), dict[str, Any])
        self._write_metadata(
            {
                **metadata,
                "status": str(ended),
                "end_time": datetime.now().astimezone().isoformat(),
            }
        )
        self._run = self.current_run = self.run_dir = None

    def _folder(self) -> Path:
        assert self.run_dir is not None
        return self.run_dir

    def _write_metadata(self, metadata: dict[str, Any]) -> None:
        write_atomically(self._folder() / "metadata.json", encode(metadata))


def compare_experiments(
    exp_dirs: Sequence[str | os.PathLike[str]],
    *,
    strict: bool = False,
    strict_last_line: bool = False,
) -> dict[str, dict[str, Any]]:
    """Params and final metrics of runs of a LocalExperimentTracker, by the name of their folder.

    Args:
        exp_dirs: folders of runs; one that there is not is left out, with a warning.
        strict: whether a folder that there is not is an error.
        strict_last_line: whether final metrics are only those that were logged last, together;
            otherwise the last value of each metric is.

    Raises:
        FileNotFoundError: a folder is missing, and `strict` is set.
    """
    comparisons = {}
    for each in exp_dirs:
        path = Path(each)
        if not path.exists():
            _missing(path, strict=strict)
            continue
        params = path / "params.json"
        comparisons[path.name] = {
            "params": decoded(params, params.read_bytes()) if params.exists() else {},
            "final_metrics": _final(path / "metrics.jsonl", last_line=strict_last_line),
        }
    return comparisons


def _missing(path: Path, *, strict: bool) -> None:
    if strict:
        raise FileNotFoundError(f"there is no run `{path}`")
    warnings.warn(f"there is no run `{path}`; it is left out", stacklevel=3)


def _final(file: Path, *, last_line: bool) -> dict[str, float]:
    if not file.exists():
        return {}
    *lines, last = file.read_bytes().split(b"\n")
    if _is_whole(file, last):
        lines.append(last)
    rows = [restored(decoded(file, line)) for line in lines if line.strip()]
    if last_line:
        rows = rows[-1:]
    return {name: value for line in rows for name, value in line["metrics"].items()}


def _new_folder(folder: Path, name: str) -> str:
    """Make a folder that was not there, by this name or with a number behind it."""
    for place in count():
        free = f"{name}.{place}" if place else name
        try:
            (folder / free).mkdir(parents=True)
        except FileExistsError:
            continue
        return free
    raise AssertionError


def _append(file: Path, line: bytes) -> None:
    """Add a line, after cutting off what a writer that was killed, or found the disk full, has begun."""
    with file.open("ab+") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(size - 1, 0))
        if opened.read() not in (b"", b"\n"):
            opened.seek(0)
            before, end, last = opened.read().rpartition(b"\n")
            if _is_whole(file, last):
                line = b"\n" + line
            else:
                opened.truncate(len(before) + len(end))
        opened.write(line)


def _is_whole(file: Path, last: bytes) -> bool:
    """Whether a last line without an end is one that was only not ended."""
    try:
        decoded(file, last)
    except RunError:
        return False
    return True


def _json_number(name: str, value: object) -> float | int:
    found = number(name, value)
    return value if type(value) is int else found
