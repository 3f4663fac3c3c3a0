"""MLflowTracker: the same calls, kept by MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.track.parameters import flat
from specplan.track.plain import number, plain
from specplan.track.tracker import ExperimentTracker

if TYPE_CHECKING:
    import os
    from types import ModuleType

NO_RUN = "No active run"
_SEVERAL = 100
"""Params in one request; more than that MLflow refuses."""


class MLflowTracker(ExperimentTracker):
    """Tracks runs in MLflow, which is imported with the first tracker.

    Args:
        tracking_uri: where MLflow keeps its runs: a URL of a server, `sqlite:///FILE`, or a folder.
        experiment_name: made where it is not there.

    Raises:
        RuntimeError: mlflow is not installed, or the place does not answer.
    """

    def __init__(self, tracking_uri: str, experiment_name: str) -> None:
        self._mlflow = _imported()
        self._run: Any = None
        try:
            self._mlflow.set_tracking_uri(tracking_uri)
            self._mlflow.set_experiment(experiment_name)
        except Exception as error:
            raise RuntimeError(f"Failed to reach MLflow at {tracking_uri}: {error}") from error

    def start_run(self, run_name: str | None = None) -> str:
        """Start a run and return MLflow's id of it. A run that is active ends first.

        Raises:
            RuntimeError: MLflow does not answer.
        """
        self.end_run()
        try:
            self._run = self._mlflow.start_run(run_name=run_name)
        except Exception as error:
            raise RuntimeError(f"Failed to start MLflow run: {error}") from error
        return str(self._run.info.run_id)

    def log_params(self, params: dict[str, Any]) -> None:
        """Log params, those of nested mappings by names with dots.

        Raises:
            RuntimeError: no run is active.
        """
        self._check_active()
        named = list(flat(plain(params, "params")).items())
        for first in range(0, len(named), _SEVERAL):
            self._mlflow.log_params(dict(named[first : first + _SEVERAL]))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log a value of each metric.

        Raises:
            RuntimeError: no run is active.
            TypeError: a value is no number.
        """
        self._check_active()
        self._mlflow.log_metrics(
            {name: number(name, value) for name, value in metrics.items()}, step=step
        )

    def log_artifact(self, path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Log a file, or a folder with all that is in it, below `artifact_path`.

        Raises:
            RuntimeError: no run is active.
            FileNotFoundError: there is nothing at the path.
        """
        self._check_active()
        source = Path(path)
        if not source.exists():
            raise FileNotFoundError(f"Artifact not found: {path}")
        log = self._mlflow.log_artifacts if source.is_dir() else self._mlflow.log_artifact
        log(str(path), artifact_path)

    def end_run(self) -> None:
        """End the active run; without one nothing is done."""
        if self._run is not None:
            self._mlflow.end_run()
            self._run = None

    def _check_active(self) -> None:
        if self._run is None:
            raise RuntimeError(NO_RUN)


def _imported() -> ModuleType:
    try:
        import mlflow
    except ImportError as error:
        raise RuntimeError(
            "MLflowTracker needs the package `mlflow`, or `mlflow-skinny`"
        ) from error
    module: ModuleType = mlflow
    return module
