"""Every path of a run. No other module joins the names of a run folder.

<root>/<experiment>/<run>/
  run.json spec.json plan.json plan.map.json environment.json changes.diff scalers.json
  records/    written by Rust only
  tables/     metrics.parquet, execution-<phase>.parquet
  artifacts/ checkpoints/ logs/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


SWEEP_FILE = "sweep.json"
"""In the folder of a sweep, beside the runs of its experiment."""
SWEEP_PREFIX = "sweep-"
"""Of the name of that folder; runs that it begins have the rest of it in their ids."""
EXECUTION_TABLES = "execution-*.parquet"
"""The execution tables in the folder of tables."""


class RunFolder(msgspec.Struct, frozen=True):
    """The paths of one run, whether or not they exist.

    Attributes:
        archive: of whose entries the folder is a copy for reading; None for the folder of a run.
    """

    path: Path
    archive: Path | None = None

    @property
    def place(self) -> Path:
        """What people know the run by: its folder, or its archive."""
        return self.archive or self.path

    def shown(self, path: Path) -> str:
        """What people find a file of the run by; in an archive the name of its entry."""
        if self.archive is None:
            return str(path)
        return f"{self.archive}:run/{path.relative_to(self.path).as_posix()}"

    @property
    def run_file(self) -> Path:
        """Status, sessions, host, versions and plan id."""
        return self.path / "run.json"

    @property
    def spec_file(self) -> Path:
        """The composed spec; absent where a plan file was run."""
        return self.path / "spec.json"

    @property
    def plan_file(self) -> Path:
        """The plan that was run."""
        return self.path / "plan.json"

    @property
    def map_file(self) -> Path:
        """Where the spec says what the plan holds."""
        return self.path / "plan.map.json"

    @property
    def environment_file(self) -> Path:
        """Versions, packages, host, process, variables and state of the repository."""
        return self.path / "environment.json"

    @property
    def changes_file(self) -> Path:
        """What differed from the commit of the repository, as a patch; absent where nothing did."""
        return self.path / "changes.diff"

    @property
    def scalers_file(self) -> Path:
        """What the scalers of the plan learned; absent where it has none."""
        return self.path / "scalers.json"

    @property
    def params_file(self) -> Path:
        """What a program said of its run; absent where it said nothing."""
        return self.path / "params.json"

    @property
    def tags_file(self) -> Path:
        """Words to find it by, once they were changed; before that those of the plan count."""
        return self.path / "tags.json"

    @property
    def constant_files(self) -> tuple[Path, ...]:
        """What is written when the run is created, and never again."""
        return (
            self.plan_file,
            self.spec_file,
            self.map_file,
            self.environment_file,
            self.changes_file,
            self.scalers_file,
        )

    @property
    def records(self) -> Path:
        """The record store."""
        return self.path / "records"

    @property
    def records_description(self) -> Path:
        """Who wrote the records. It is written last: a store that has it has everything."""
        return self.records / "store.json"

    @property
    def records_lock(self) -> Path:
        """Held by the process that writes the records."""
        return self.records / ".lock"

    @property
    def tables(self) -> Path:
        """Parquet files for other tools."""
        return self.path / "tables"

    @property
    def metrics_table(self) -> Path:
        """The long table of metrics."""
        return self.tables / "metrics.parquet"

    def execution_table(self, phase: str) -> Path:
        """One row for each sample of a phase. A phase's path holds no separator: labels are checked."""
        return self.tables / f"execution-{phase}.parquet"

    @property
    def logs(self) -> Path:
        """Text that the run wrote about itself."""
        return self.path / "logs"

    @property
    def error_log(self) -> Path:
        """Traceback of the exception that ended the run."""
        return self.logs / "error.txt"

    @property
    def warnings_log(self) -> Path:
        """What the compiler warned of; absent where there was nothing."""
        return self.logs / "warnings.txt"

    @property
    def reserve(self) -> Path:
        """Room on the disk for the last change of run.json, while the run goes on."""
        return self.path / ".reserve"

    @property
    def artifacts(self) -> Path:
        """Files and rich objects."""
        return self.path / "artifacts"

    @property
    def checkpoints(self) -> Path:
        """States from which to go on."""
        return self.path / "checkpoints"


def experiment_folder(root: Path, experiment: str) -> Path:
    """The folder of all runs of one experiment."""
    return root / experiment


def root_of(run: RunFolder, experiment: str) -> Path:
    """The root below which a run of an experiment lies."""
    return run.path.parents[experiment.count("/") + 1]


def index_file(root: Path) -> Path:
    """What was found out about the runs below a root, to list them quickly. It may be gone at any time."""
    return root / ".index.msgpack"


def removed_file(experiments: Path) -> Path:
    """How many runs of an experiment were removed: their versions are not given again."""
    return experiments / ".removed"
