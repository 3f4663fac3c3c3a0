"""In which folders the runs of an experiment lie, and for how long."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from specplan.objects.results_config import ResultsConfig
from specplan.results.open import Run, open_run
from specplan.store.layout import EXECUTION_TABLES
from specplan.store.root import home_of_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.track.tracked import Tracked

_FOLDERS: Mapping[str, str] = {
    "execution": "records",
    "metrics": "tables",
    "artifacts": "artifacts",
}
"""The folder of a run that each kind of results is in."""


class Storage:
    """Finds a place for each run of an experiment.

    Attributes:
        config: what was asked for; None for the folder of the prefix, $SPECPLAN_HOME, or memory where there is neither.

    Raises:
        TypeError: `config` is no ResultsConfig.
        ValueError: its folder holds something else than runs of the experiment.
    """

    def __init__(self, experiment: Tracked, config: ResultsConfig | None) -> None:
        if config is not None:
            if not isinstance(config, ResultsConfig):
                raise TypeError(f"results_config is a ResultsConfig, not {type(config).__name__}")
            config.check(experiment.full_name)
        self.config = config
        self._experiment = experiment
        self._temporary: _TemporaryRoot | None = None
        self._only_memory = False

    def root(self) -> Path:
        """The folder below which the next run folder is made."""
        return self._home() or self._temporary_root()

    def elsewhere(self) -> dict[str, Path]:
        """Folders of the next run that do not lie in it, by name: the folder below which they lie."""
        home = self._home()
        if home is None or self.config is None:
            return {}
        found = {}
        for kind, folder in _FOLDERS.items():
            place = getattr(self.config, kind)
            # A run folder on disk has its metrics: whoever wants them in memory reads them just so.
            if self.config.location(kind) is None and kind != "metrics":  # type: ignore[arg-type]
                found[folder] = self._temporary_root()
            elif isinstance(place, Path) and place != home:
                found[folder] = place
        return found

    @contextmanager
    def in_memory(self) -> Iterator[None]:
        """Keep everything in a temporary folder meanwhile."""
        before, self._only_memory = self._only_memory, True
        try:
            yield
        finally:
            self._only_memory = before

    def opened(self, folder: Path) -> Run:
        """The run in a folder. What is temporary of it stays until the run is forgotten."""
        run = open_run(folder)
        if (
            run.folder.records.is_symlink()
            and self.config is not None
            and not self.config.save_execution
        ):
            # The tables say nothing that the records do not, and they would stay.
            for table in run.folder.tables.glob(EXECUTION_TABLES):
                table.unlink()
        if self._temporary is not None:
            _TEMPORARY[run] = self._temporary
        return run

    def forget(self, run: Run) -> None:
        """Remove the folder of a run when nobody holds it, and at the end of the program."""
        weakref.finalize(run, shutil.rmtree, run.folder.path, ignore_errors=True)

    def _home(self) -> Path | None:
        if self._only_memory:
            return None
        if self.config is not None:
            return self.config.home
        return (
            home_of_environment() if self._experiment.prefix is None else self._experiment.run.root
        )

    def _temporary_root(self) -> Path:
        if self._temporary is None:
            self._temporary = _TemporaryRoot()
        return self._temporary.path


class _TemporaryRoot:
    """A folder that is removed when nobody holds this object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="specplan-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


# Results read their run folder when asked, so it stays as long as any run that is opened from it.
_TEMPORARY: weakref.WeakKeyDictionary[Run, _TemporaryRoot] = weakref.WeakKeyDictionary()
