"""A tracker that does what the YAML file of an experiment says."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.base.redaction import redacted_lines
from specplan.track.local import LocalExperimentTracker
from specplan.track.tracker import ExperimentTracker, git_params, log_environment

if TYPE_CHECKING:
    import os

    from specplan.track.mlflow import MLflowTracker
    from specplan.track.tracker import ExperimentConfig

MODELS = (
    ".pt",
    ".pth",
    ".ckpt",
    ".safetensors",
    ".npz",
    ".onnx",
    ".h5",
    ".keras",
    ".joblib",
    ".pkl",
)
"""Suffixes of the files that `save_model` is about."""
PLOTS = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".gif", ".webp", ".html")
"""Suffixes of the files that `save_plots` is about."""
SAMPLED_EVERY = 10
"""Seconds between two samples of the system."""
_LOG = logging.getLogger(__name__)


class ConfiguredTracker(ExperimentTracker):
    """Tracks as a configuration says, in the tracker of its backend.

    Args:
        config: which metrics and files are kept, and what is logged of every run.

    Attributes:
        inner: the tracker that keeps the runs.

    Raises:
        RuntimeError: mlflow is not installed, or does not answer.
        ValueError: a local tracker cannot have an `artifact_location`.
    """

    def __init__(self, config: ExperimentConfig) -> None:
        self._config = config
        self._left_out: set[str] = set()
        self.inner = _inner(config)

    def start_run(self, run_name: str | None = None) -> str:
        """Start a run, and log what the configuration says of every run: seed, git, environment, its file."""
        run_id = self.inner.start_run(run_name)
        self._describe()
        return run_id

    def start_new_run(self, run_name: str) -> str:
        """As `start_run`; never a session of a run that is there."""
        run_id = self.inner.start_new_run(run_name)
        self._describe()
        return run_id

    def _describe(self) -> None:
        """Log what the configuration says of every run."""
        config = self._config
        self.inner.log_params({"project": config.project, "random_seed": config.random_seed})
        if config.log_git_hash:
            self.inner.log_params(git_params())
        if config.log_environment:
            log_environment(self.inner)
        if config.save_config and config.file is not None:
            self._keep(config.file)
        if config.log_system_metrics:
            self.inner.sample_system(SAMPLED_EVERY)

    def log_params(self, params: dict[str, Any]) -> None:
        """Add params. Raises RuntimeError without an active run."""
        self.inner.log_params(params)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Record a value of each metric, of every `log_frequency`th step, and always without a step."""
        if step is None or step % self._config.log_frequency == 0:
            self.inner.log_metrics(metrics, step)

    def log_artifact(self, path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep a copy of a file, unless it is a model or plot that the configuration leaves out."""
        suffix = Path(path).suffix.lower()
        config = self._config
        is_left_out = (suffix in MODELS and not config.save_model) or (
            suffix in PLOTS and not config.save_plots
        )
        if not is_left_out:
            self.inner.log_artifact(path, artifact_path)
        elif suffix not in self._left_out:
            self._left_out.add(suffix)
            _LOG.warning("files *%s are left out, as the configuration says", suffix)

    def _keep(self, file: Path) -> None:
        """Keep a copy of the configuration without secrets: the URI of a tracker may have a password."""
        with tempfile.TemporaryDirectory() as aside:
            copy = Path(aside) / file.name
            copy.write_bytes(redacted_lines(file.read_bytes().decode()).encode())
            self.inner.log_artifact(copy)

    def end_run(self, status: str = "completed") -> None:
        """End the active run; without one nothing is done."""
        self.inner.end_run(status)

    def fail_run(self) -> None:
        """End the active run as failed; without one nothing is done."""
        self.end_run("failed")


def _inner(config: ExperimentConfig) -> LocalExperimentTracker | MLflowTracker:
    if config.backend == "local":
        if config.artifact_location is not None:
            raise ValueError(
                "a local tracker keeps artifacts in the folder of the run, so it has no artifact_location"
            )
        folder = Path(config.tracking_uri) / config.name
        return LocalExperimentTracker(folder, tags=config.tags, description=config.description)
    from specplan.track.mlflow import MLflowTracker

    return MLflowTracker(
        config.tracking_uri,
        config.name,
        artifact_location=config.artifact_location,
        tags=config.tags,
        description=config.description,
    )
