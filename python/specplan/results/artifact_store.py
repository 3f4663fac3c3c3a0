"""The artifacts of one phase, by name, epoch and batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.results.axis_series import AxisSeries

if TYPE_CHECKING:
    from specplan.results.artifacts import Artifact
    from specplan.results.open import Run


class ArtifactEntry:
    """One artifact.

    Attributes:
        name: under which the phase recorded it; the file has the path of the phase before it.
        file: the file that holds it, with its kind, size and digest.
        epoch_idx: where it was made, None where that was not said; so is `batch_idx`.
    """

    def __init__(self, name: str, file: Artifact) -> None:
        self.name = name
        self.file = file
        self.epoch_idx = file.epoch
        self.batch_idx = file.batch

    @property
    def artifact(self) -> Any:
        """The value, read from the file and compared with its digest.

        Raises:
            StoreError: the file is gone, or is not what was written.
        """
        return self.file.read()

    def __repr__(self) -> str:
        return f"ArtifactEntry({self.name!r}, {self.file.kind}, epoch={self.epoch_idx}, batch={self.batch_idx})"


class ArtifactSeries(AxisSeries[ArtifactEntry]):
    """Artifacts by (name, epoch, batch)."""


class ArtifactStore:
    """The artifacts of one phase, read from its run folder when they are asked for."""

    def __init__(self, run: Run, path: str) -> None:
        self._run = run
        self._path = path

    @property
    def names(self) -> list[str]:
        """Names of the artifacts, in the order in which they first occur."""
        return self.entries().axis_values("name")

    def entries(self) -> ArtifactSeries:
        """The newest artifact of each (name, epoch, batch)."""
        artifacts, prefix = self._run.artifacts, f"{self._path}/"
        versions = [each for name in artifacts for each in artifacts.versions(name)]
        entries = [
            ArtifactEntry(each.name.removeprefix(prefix), each)
            for each in versions
            if each.phase == self._path
        ]
        return ArtifactSeries(
            ("name", "epoch", "batch"),
            {(each.name, each.epoch_idx, each.batch_idx): each for each in entries},
        )

    def __len__(self) -> int:
        return len(self.entries())

    def __repr__(self) -> str:
        return f"ArtifactStore({self._path}: {', '.join(self.names) or 'nothing'})"
