"""What every tracker of experiments does, and what works with any of them."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import platform
import sys
from abc import ABC, abstractmethod
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from specplan.run.git import git_state
from specplan.spec.axes import combinations
from specplan.spec.wording import choices, quoted
from specplan.store.number import number
from specplan.store.run_file import Status

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

MAX_ARTIFACT_SIZE = 100 * 1024 * 1024
"""Bytes above which `safe_log_artifact` refuses a file."""
MAX_RUNS = 100
"""Runs above which `run_sweep` refuses a grid."""


ENDINGS = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
Backend = Literal["mlflow", "local"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
DEFAULT_PLACES: dict[Backend, str] = {"mlflow": "mlruns", "local": "experiments"}
"""Where each backend keeps its runs when nothing is said."""


@dataclasses.dataclass
class ExperimentConfig:
    """What an experiment is called, where it is tracked, and what is logged of it.

    Attributes:
        tracking_uri: where MLflow keeps its runs, by default `mlruns`; of a local tracker, the folder of
            the experiments, by default `experiments`.
        random_seed: logged as param; seeding is the program's.
        backend: mlflow or local.
        log_frequency: metrics are kept of the steps that it divides, and where no step is said.
        log_system_metrics: whether processor, memory and disk are sampled into the run folder.
        save_model: whether artifacts are kept whose suffix is that of a model, as .pt or .safetensors.
        save_plots: whether those are kept whose suffix is that of a picture, as .png or .html.
        save_config: whether `file` is kept as artifact of each run.
        log_git_hash: whether the commit is logged as param; log_environment: what `log_environment` logs.
        file: what it was read from, if anything.

    Raises:
        ValueError: the name is empty, or a value is none that is known.
    """

    name: str
    project: str = "codex-ml"
    tracking_uri: str = ""
    artifact_location: str | None = None
    tags: dict[str, str] = None  # type: ignore[assignment]  # the documented default; see __post_init__
    description: str = ""
    random_seed: int = 42
    backend: Backend = "mlflow"
    log_frequency: int = 1
    log_system_metrics: bool = False
    save_model: bool = True
    save_plots: bool = True
    save_config: bool = True
    log_git_hash: bool = True
    log_environment: bool = False
    file: Path | None = None

    def __post_init__(self) -> None:
        check_fields(vars(self))
        if self.tags is None:
            self.tags = {}
        self.tracking_uri = self.tracking_uri or DEFAULT_PLACES[self.backend]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ExperimentConfig:
        """The configuration in a YAML or JSON file of the sections experiment, tracking, logging, artifacts
        and reproducibility.

        Raises:
            SpecError: the file is missing, or something in it is wrong; every place is named.
        """
        from specplan.track.sections import read_sections

        return cls(**read_sections(path), file=Path(path))

    def tracker(self) -> ExperimentTracker:
        """A tracker that does what this says.

        Raises:
            RuntimeError: MLflow is not installed, or does not answer.
            ValueError: a local tracker cannot have an `artifact_location`.
        """
        from specplan.track.configured import ConfiguredTracker

        return ConfiguredTracker(self)


def check_fields(values: Mapping[str, Any]) -> None:
    """Check those fields of a configuration that are given.

    Raises:
        ValueError: one is none that is known.
    """
    if not values.get("name", True):
        raise ValueError("Experiment name is required")
    backend, log_frequency = values.get("backend", BACKENDS[0]), values.get("log_frequency", 1)
    if backend not in BACKENDS:
        raise ValueError(f"no backend `{backend}`; known: {choices(backend, BACKENDS)}")
    if log_frequency < 1:
        raise ValueError(f"log_frequency is {log_frequency}, and has to be at least 1")


class ExperimentTracker(ABC):
    """Abstract base of the trackers: one run at a time, with params, metrics and artifacts."""

    @abstractmethod
    def start_run(self, run_name: str | None = None) -> str:
        """Start a run and return its id."""

    @abstractmethod
    def log_params(self, params: dict[str, Any]) -> None:
        """Add params. Raises RuntimeError without an active run."""

    @abstractmethod
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Record a value of each metric. Raises RuntimeError without an active run."""

    @abstractmethod
    def log_artifact(self, path: str, artifact_path: str | None = None) -> None:
        """Keep a copy of a file. Raises RuntimeError without an active run."""

    @abstractmethod
    def end_run(self) -> None:
        """End the active run; without one nothing is done."""

    def start_new_run(self, run_name: str) -> str:
        """Start a run that is no session of one that is there, and return its id.

        Where `start_run` would go on with a run of that name, the new one has a number behind it.
        """
        return self.start_run(run_name)

    def fail_run(self) -> None:
        """End the active run as failed. A tracker that knows no failures ends it as any other."""
        self.end_run()


def ending(status: str) -> Status:
    """How a run ends.

    Raises:
        ValueError: it is no way to end.
    """
    found = next((each for each in ENDINGS if each == status), None)
    if found is None:
        raise ValueError(f"a run ends as {quoted(ENDINGS)}, not as `{status}`")
    return found


def validate_metric(name: str, value: Any) -> float:
    """The value of a metric as a float.

    Raises:
        TypeError: it is no number.
        ValueError: it is NaN or infinite.
    """
    found = number(name, value)
    if not math.isfinite(found):
        raise ValueError(f"Metric {name} is NaN or Inf")
    return found


def safe_log_artifact(tracker: ExperimentTracker, path: str | os.PathLike[str]) -> None:
    """Log a file or folder as artifact, unless it is larger than `MAX_ARTIFACT_SIZE`.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: it is too large.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(str(path))
    files = [file] if file.is_file() else [each for each in file.rglob("*") if each.is_file()]
    size = sum(each.stat().st_size for each in files)
    if size > MAX_ARTIFACT_SIZE:
        raise ValueError(f"Artifact too large: {size / 1024 / 1024:.1f}MB")
    tracker.log_artifact(str(path))


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of an artifact that is to be logged.

    Raises:
        FileNotFoundError: there is nothing.
    """
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(f"Artifact not found: {path}")
    return source


def artifact_name(source: Path, artifact_path: str | None, artifacts: Path) -> str:
    """The name under which a file is kept in the folder `artifacts`.

    `artifact_path` is its name; or the folder that it is put into, where it ends in `/` or is there.
    """
    if artifact_path is None:
        return source.name
    name = artifact_path.rstrip("/")
    is_folder = artifact_path.endswith("/") or (artifacts / name).is_dir()
    return f"{name}/{source.name}" if is_folder else name


def log_environment(tracker: ExperimentTracker) -> None:
    """Log python_version, platform, git_hash, git_dirty and torch_version as params.

    Without a repository git_hash is "unknown". A repository is dirty when tracked files differ from
    the commit. Nothing is imported for it.
    """
    found: dict[str, Any] = {"python_version": sys.version, "platform": platform.platform()}
    found |= git_params()
    with contextlib.suppress(PackageNotFoundError):
        found["torch_version"] = version("torch")
    tracker.log_params(found)


def git_params() -> dict[str, Any]:
    """git_hash and git_dirty of the repository around the current folder."""
    git = git_state(Path())
    found: dict[str, Any] = {"git_hash": (git and git.commit) or "unknown"}
    if git is not None and git.changes is not None:
        found["git_dirty"] = bool(git.changes.modified or git.changes.staged)
    return found


def run_sweep(
    param_grid: Mapping[str, Sequence[Any]],
    train_fn: Callable[..., dict[str, float]],
    tracker: ExperimentTracker,
) -> list[dict[str, Any]]:
    """Call `train_fn` with every combination of the grid, each in a run of its own, `sweep-<i>`.

    A tracker that knows its runs by their names gives those of a second sweep a number: `sweep-0.1`.

    Args:
        param_grid: values of each param; the last one varies fastest.
        train_fn: takes the params by name and returns metrics.
        tracker: where the runs are logged.

    Returns:
        For each run `run_id`, `params` and `metrics`.

    Raises:
        TypeError: the values of a param are one text and not a list.
        ValueError: there are more than `MAX_RUNS` combinations.
    """
    for name, values in param_grid.items():
        if isinstance(values, str | bytes):
            raise TypeError(f"the values of `{name}` are a list such as [{values!r}]")
    count = math.prod(map(len, param_grid.values()))
    if count > MAX_RUNS:
        raise ValueError(f"Too many combinations: {count}")
    results = []
    for index, params in enumerate(combinations(param_grid)):
        run_id = tracker.start_new_run(f"sweep-{index}")
        try:
            tracker.log_params(params)
            metrics = train_fn(**params)
            tracker.log_metrics(metrics)
        except BaseException:
            tracker.fail_run()
            raise
        tracker.end_run()
        results.append({"run_id": run_id, "params": params, "metrics": metrics})
    return results
