"""MLflowTracker: the same calls, kept in a run folder that is sent to MLflow."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.redaction import redacted_text
from specplan.errors import RunError, SpecplanError
from specplan.store.fields import MLFLOW
from specplan.store.root import runs_root
from specplan.store.run_file import Status
from specplan.track.background import Background
from specplan.track.mlflow_client import (
    STATUSES,
    allow_folder,
    fitting_tags,
    impatient,
    imported,
    refusal,
    without_password,
)
from specplan.track.mlflow_sending import MlflowSending
from specplan.track.names import as_part
from specplan.track.parameters import flat
from specplan.track.plain import plain
from specplan.track.run import TrackedRun
from specplan.track.run_tracker import RunTracker
from specplan.track.tracker import ending

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

_LOG = logging.getLogger(__name__)


class MLflowTracker(RunTracker):
    """Tracks runs in MLflow, and in a run folder as every other run.

    The folder has everything. A thread sends it to MLflow, every second what is new, so nothing that happens
    to MLflow after `start_run` changes the program: what MLflow missed is counted, said when the run ends,
    and sent by `mlx sync`.

    Args:
        tracking_uri: where MLflow keeps its runs: a URL of a server, `sqlite:///FILE`, or a folder.
            Only a URL opens a connection.
        experiment_name: made where it is not there.
        artifact_location: where MLflow keeps the artifacts of an experiment that is made.
        tags: words to find the runs by; description: what they are for.
        root: folder of all run folders; $SPECPLAN_HOME or ./runs when it is not given.
        patience: seconds for which `end_run` waits until MLflow has everything.

    Attributes:
        run_dir: the folder of the active run; None where none is.
        missed: entries of the last run that MLflow did not get so far.

    Raises:
        RuntimeError: mlflow is not installed, or the place does not answer.
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment_name: str,
        *,
        artifact_location: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        description: str = "",
        root: str | os.PathLike[str] | None = None,
        patience: float = 10,
    ) -> None:
        self._uri, self._experiment = tracking_uri, experiment_name
        self._root = runs_root(None if root is None else Path(root))
        self._patience = patience
        self._tags, self._description = dict(tags or {}), description
        self._run: TrackedRun | None = None
        self._sending: MlflowSending | None = None
        self._background: Background | None = None
        try:
            self._mlflow = imported()
            allow_folder(tracking_uri)
            with impatient():
                self._set_experiment(artifact_location)
        except RunError as error:
            raise RuntimeError(str(error)) from error
        except Exception as error:
            raise RuntimeError(f"Failed to reach {refusal(tracking_uri, error)}") from error

    @property
    def run_dir(self) -> Path | None:
        return None if self._run is None else self._run.folder.path

    @property
    def missed(self) -> int:
        return 0 if self._sending is None else self._sending.unsent()

    def start_run(self, run_name: str | None = None) -> str:
        """Start a run and return MLflow's id of it. A run that is active ends first.

        Raises:
            RuntimeError: MLflow does not answer, or the run folder cannot be written.
        """
        self.end_run()
        try:
            with impatient():
                active = self._mlflow.start_run(
                    run_name=run_name,
                    tags=fitting_tags(self._tags)[0],
                    description=self._description or None,
                )
        except Exception as error:
            said = redacted_text(str(error))
            raise RuntimeError(f"Failed to start MLflow run: {said}") from error
        run_id = str(active.info.run_id)
        try:
            self._begin(run_id, active.info.run_name)
        except (SpecplanError, OSError) as error:
            self._mlflow.end_run(STATUSES[Status.FAILED])
            raise RuntimeError(f"Failed to start MLflow run: {error}") from error
        return run_id

    def log_params(self, params: dict[str, Any]) -> None:
        """Log params, those of nested mappings by names with dots.

        MLflow keeps the value of a param that it got first; the run folder has the last one.

        Raises:
            RuntimeError: no run is active.
            TypeError: a value is none that JSON holds.
        """
        self._active().set_params(flat(plain(params, "params")))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log a value of each metric.

        Args:
            metrics: numbers by name; NaN and infinity count.
            step: by default the one after the greatest of these metrics so far; the first is 0.

        Raises:
            RuntimeError: no run is active.
            TypeError: a value is no number; then nothing is logged.
        """
        self._active().log_metrics(metrics, step=step)

    def end_run(self, status: str = "completed") -> None:
        """End the active run as completed, failed or cancelled; without one nothing is done."""
        if self._run is None or self._background is None:
            return
        ended = ending(status)
        run, self._run = self._run, None
        try:
            run.end(ended)
        finally:
            has_all = self._background.close()
            # MLflow forgets which run is active, whatever comes of telling its server so. What that lacks is said.
            with impatient(10 if has_all else 2), contextlib.suppress(Exception):
                self._mlflow.end_run(STATUSES.get(run.status, "KILLED"))

    def _set_experiment(self, artifact_location: str | None) -> None:
        self._mlflow.set_tracking_uri(self._uri)
        if artifact_location is not None:
            client = self._mlflow.MlflowClient()
            if client.get_experiment_by_name(self._experiment) is None:
                client.create_experiment(self._experiment, artifact_location=artifact_location)
        self._mlflow.set_experiment(self._experiment)

    def _begin(self, run_id: str, name: str) -> None:
        """Begin the run folder, and to send what comes into it."""
        run = TrackedRun.start(
            self._root,
            as_part(self._experiment),
            description=self._description or name,
            tags=self._tags,
        )
        note = {"uri": without_password(self._uri), "run_id": run_id}
        run.record_text(MLFLOW, msgspec.json.encode(note).decode())
        run.sync()  # whatever sends the run goes on with the one in MLflow
        self._sending = MlflowSending(run.folder, self._uri, _warn)
        self._background = Background(run.folder, self._sending, patience=self._patience)
        self._run = run


def _warn(reason: str) -> None:
    _LOG.warning("only the run folder has it: %s", reason)
