"""What the trackers share that keep each of their runs in a run folder."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from specplan.track.tracker import ExperimentTracker, artifact_name, existing

if TYPE_CHECKING:
    import os

    from specplan.track.run import TrackedRun


class RunTracker(ExperimentTracker):
    """A tracker whose active run is a run folder."""

    _run: TrackedRun | None = None
    _no_run = "No active run"

    def log_artifact(self, path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep a copy of a file, or of a folder with all that is in it.

        Args:
            path: what to copy.
            artifact_path: its name among the artifacts, by default its own. With a `/` at the end, or
                where a folder of that name is there, it is put into that folder.

        Raises:
            RuntimeError: no run is active.
            FileNotFoundError: there is nothing at the path.
            ValueError: the name would leave the folder.
        """
        run = self._active()
        source = existing(path)
        run.log_artifact(artifact_name(source, artifact_path, run.folder.artifacts), source)

    def sample_system(self, seconds: float) -> None:
        """Sample the system every `seconds`, as metrics with names `system/...`.

        Raises:
            RuntimeError: no run is active.
        """
        self._active().sample_system(seconds)

    @abstractmethod
    def end_run(self, status: str = "completed") -> None:
        """End the active run; without one nothing is done.

        Args:
            status: completed, failed or cancelled.
        """

    def fail_run(self) -> None:
        """End the active run as failed; without one nothing is done."""
        self.end_run("failed")

    def _active(self) -> TrackedRun:
        if self._run is None:
            raise RuntimeError(self._no_run)
        return self._run
