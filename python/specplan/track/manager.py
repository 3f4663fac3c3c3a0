"""ExperimentManager: versions of an experiment, each with its hyperparameters, metrics and checkpoints."""

from __future__ import annotations

import dataclasses
import os
import sys
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.files import write_atomically
from specplan.base.redaction import redacted
from specplan.errors import RunError
from specplan.store.run_file import Status
from specplan.store.run_files import locked
from specplan.track.curves import Curves, noted, restored
from specplan.track.names import check_experiment
from specplan.track.plain import decoded, encode, plain
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Mapping

DESCRIBED = ("precision", "model_size", "dataset_version", "hardware_constraint_mode")
"""What the metadata of every experiment says; "unknown" where nobody said it."""


@dataclasses.dataclass
class ExperimentRecord:
    """One version of an experiment, as its history has it.

    Attributes:
        created_at: ISO 8601 in UTC, with offset.
        metrics: lists of values by name.
        checkpoints: paths, in the order in which they were added.
    """

    experiment_id: str
    version: int
    created_at: str
    config_name: str
    hyperparameters: dict[str, Any]
    metadata: dict[str, Any]
    metrics: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    checkpoints: list[str] = dataclasses.field(default_factory=list)


class ExperimentManager:
    """Keeps a history of experiments, `<log_dir>/<experiment_id>.json`, and a run folder of each version.

    The history is a JSON array with one object for each version. It is replaced as a whole after every
    call, under a lock, so any number of managers in any number of processes may share a folder. One
    experiment is active at a time; starting another ends its run, and so does the end of the program.

    Args:
        log_dir: where histories and, below `<experiment_id>/`, run folders are. It is made.
    """

    def __init__(self, log_dir: str | os.PathLike[str] = "experiments/logs") -> None:
        self.log_dir = Path(log_dir)
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self._active: _Active | None = None

    @property
    def active(self) -> ExperimentRecord | None:
        """The experiment that was started last."""
        return None if self._active is None else self._active.record

    def start_experiment(
        self,
        config_name: str,
        hyperparameters: Mapping[str, Any],
        metadata: Mapping[str, Any],
        experiment_id: str | None = None,
    ) -> ExperimentRecord:
        """Begin the next version of an experiment, and make it the active one.

        Args:
            config_name: name of the configuration.
            hyperparameters: by name; numbers and arrays of numpy and torch are numbers and lists.
            metadata: the same; precision, model_size, dataset_version and hardware_constraint_mode are
                "unknown" where they are missing. The mapping itself is not changed.
            experiment_id: by default the name of the configuration with `_` for each `/` and `.`.

        Raises:
            ValueError: the id would leave the folder.
            TypeError: a value is none that JSON holds.
            RunError: the history is damaged.
        """
        name = _id_of(config_name) if experiment_id is None else experiment_id
        _check_id(name)
        said = plain(hyperparameters, "hyperparameters")
        described = plain(metadata, "metadata")
        about = {**dict.fromkeys(DESCRIBED, "unknown"), **described}
        self.close()
        with locked(self.log_dir):
            entries = self._entries(name)
            version = 1 + max((entry["version"] for entry in entries), default=0)
            record = ExperimentRecord(
                experiment_id=name,
                version=version,
                created_at=datetime.now(UTC).isoformat(),
                config_name=config_name,
                hyperparameters=said,
                metadata=about,
            )
            run = TrackedRun.start(self.log_dir, name, version=version)
            self._write(name, [*entries, dataclasses.asdict(record)])
        run.set_params({**({"metadata": described} if described else {}), **said})
        self._active = _Active(record, run)
        return record

    def log_metrics(self, metrics: Mapping[str, Any], *, replace: bool = False) -> None:
        """Keep a list of values for each metric, such as one for each epoch.

        A name that was logged before gets the new list; other names stay.

        Args:
            metrics: lists, tuples or arrays by name. What is no list of numbers is kept in the history,
                and is no series of the run.
            replace: whether names that are not given are dropped from the history.

        Raises:
            RuntimeError: no experiment is active.
            TypeError: a value is none that JSON holds.
        """
        active = self._current()
        curves = Curves.of(metrics)
        active.record.metrics = {**({} if replace else active.record.metrics), **curves.values}
        active.log(curves)
        self._persist(active.record)

    def add_checkpoint(self, checkpoint_path: str | os.PathLike[str]) -> None:
        """Note where a checkpoint is. The file need not exist.

        Raises:
            RuntimeError: no experiment is active.
        """
        active = self._current()
        active.record.checkpoints.append(os.fspath(checkpoint_path))
        self._persist(active.record)

    def read_history(self, experiment_id: str) -> list[dict[str, Any]]:
        """All versions of an experiment in order; none for one that there is not.

        Raises:
            ValueError: the id would leave the folder.
            RunError: the history is damaged.
        """
        _check_id(experiment_id)
        entries = [restored(entry) for entry in self._entries(experiment_id)]
        return sorted(entries, key=_version)

    def close(self) -> None:
        """End the run of the active experiment; none is active then."""
        if self._active is not None:
            self._active.end()
            self._active = None

    def _current(self) -> _Active:
        if self._active is None:
            raise RuntimeError("No active experiment. Call start_experiment() first.")
        return self._active

    def _persist(self, record: ExperimentRecord) -> None:
        entry = dataclasses.asdict(record)
        with locked(self.log_dir):
            others = [
                each
                for each in self._entries(record.experiment_id)
                if each["version"] != record.version
            ]
            entries = sorted([*others, entry], key=_version)
            self._write(record.experiment_id, entries)

    def _file(self, experiment_id: str) -> Path:
        return self.log_dir / f"{experiment_id}.json"

    def _entries(self, experiment_id: str) -> list[dict[str, Any]]:
        path = self._file(experiment_id)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return []
        entries: list[dict[str, Any]] = decoded(path, content, list[dict[str, Any]])
        try:
            msgspec.convert(entries, list[_Entry])
        except ValueError as error:
            raise RunError(f"{path} is no history of an experiment: {error}") from error
        return entries

    def _write(self, experiment_id: str, entries: list[dict[str, Any]]) -> None:
        content = encode(redacted([noted(entry) for entry in entries]))
        write_atomically(self._file(experiment_id), content)


class _Entry(msgspec.Struct):
    """What every entry of a history has."""

    version: int
    metrics: dict[str, Any]


class _Active:
    """The active experiment. The end of the program ends its run, and so does that of its manager."""

    def __init__(self, record: ExperimentRecord, run: TrackedRun) -> None:
        self.record = record
        self.run = run
        self._logged: dict[str, list[float]] = {}
        self._abandon = weakref.finalize(self, _abandon, run, os.getpid(), _last_error())

    def log(self, curves: Curves) -> None:
        """Record what is new: the rest of a list that grew, else what differs. The last row of a step counts."""
        for name, values in curves.numbers.items():
            before = self._logged.get(name, [])
            for step, value in enumerate(values):
                if step >= len(before) or before[step] != value:
                    self.run.log_metrics({name: value}, step=step)
            self._logged[name] = values
        self.run.sync()

    def end(self) -> None:
        """End the run, which was completed."""
        if self._abandon.detach() is not None:
            self.run.end()


def _abandon(run: TrackedRun, pid: int, error_before: BaseException | None) -> None:
    if os.getpid() != pid:
        return  # a forked child holds a copy of what is not its own
    error = _last_error()
    if error is None or error is error_before:
        run.end()
    else:
        run.end(Status.FAILED, error)


def _last_error() -> BaseException | None:
    """The last exception that nobody caught."""
    error: BaseException | None = getattr(sys, "last_value", None)
    return error


def _version(entry: Mapping[str, Any]) -> int:
    return int(entry["version"])


def _id_of(config_name: str) -> str:
    if not isinstance(config_name, str):
        raise TypeError(f"config_name is a str, not {type(config_name).__name__}")
    return config_name.replace("/", "_").replace(".", "_")


def _check_id(experiment_id: str) -> None:
    check_experiment(experiment_id)
    if "/" in experiment_id:
        raise ValueError(
            f"{experiment_id!r} cannot be an experiment_id: it names a file, so no `/`"
        )
