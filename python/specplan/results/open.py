"""A run folder as tables and arrays, while it is written and afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specplan._native import MetricTable, StoreReader, read_metric_table
from specplan.errors import RunError
from specplan.results.artifacts import Artifacts, artifacts_of
from specplan.results.columns import find_column
from specplan.results.locate import find_run
from specplan.results.ragged import Ragged
from specplan.results.returned import returned
from specplan.results.settings import read_params
from specplan.results.status import phases_now, read_run_file, status_now
from specplan.results.table import Table
from specplan.results.tensors import Tensors
from specplan.results.texts import Texts
from specplan.spec.wording import choices, quoted
from specplan.store.documents import OBJECT, documents
from specplan.store.fields import ARTIFACT
from specplan.store.root import runs_root
from specplan.store.run_file import Status
from specplan.store.tags import read_tags

if TYPE_CHECKING:
    import os

    from specplan.plan.model import Plan
    from specplan.results.passes import Spread
    from specplan.results.returned import Returned
    from specplan.store.layout import RunFolder
    from specplan.store.run_file import PhaseTiming, RunFile


def open_run(path: str | Path, *, root: str | Path | None = None) -> Run:
    """Open a run for reading.

    Args:
        path: a run folder, or an archive of a run; or, below `root`, `<experiment>/<run>`, a run id, or an
            experiment, which means its newest run.
        root: folder of all runs; $SPECPLAN_HOME or ./runs when it is not given.

    Raises:
        RunError: there is no such run.
        ArchiveError: the archive is damaged, or none of a run.
        StoreError: its records are damaged.
    """
    return Run(find_run(path, runs_root(root), archives=True))


class Run:
    """One run, read only. It may be running in another process: then what is committed is seen.

    Everything shows the run as it was when it was opened or last refreshed.

    Args:
        folder: of the run.
        records: its records, where somebody has opened them.
    """

    def __init__(self, folder: RunFolder, records: StoreReader | None = None) -> None:
        self._folder = folder
        self._run_file = read_run_file(folder)
        self._store = records
        self._plan: Plan | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self._run_file.run_id

    @property
    def experiment(self) -> str:
        """The experiment's id."""
        return self._run_file.experiment

    @property
    def version(self) -> int:
        """1 for the first run of the experiment, and so on."""
        return self._run_file.version

    @property
    def status(self) -> Status:
        """How the run stands; a run whose process is gone is `interrupted`, whatever it wrote."""
        return status_now(self._run_file)

    @property
    def phases(self) -> tuple[PhaseTiming, ...]:
        """When each phase that began has run; what a process that is gone left running is `interrupted`."""
        return phases_now(self._run_file)

    @property
    def run_file(self) -> RunFile:
        """All of run.json: sessions, timings, versions, error."""
        return self._run_file

    @property
    def tags(self) -> dict[str, str | None]:
        """Words to find it by, as they are now; None for one without a value."""
        return read_tags(self._folder)

    @property
    def params(self) -> dict[str, Any]:
        """What a program said of its run, as it did; `{}` where it said nothing."""
        return read_params(self._folder)

    @property
    def statistics(self) -> dict[str, int]:
        """Counters of the recording: records, bytes, stalls, stall_nanoseconds, drains, chunks, dropped,
        dropped_artifacts, dropped_tables, and dropped_checkpoints where there are some. Of a run that was killed there are none.
        """
        return dict(self._run_file.statistics)

    @property
    def folder(self) -> RunFolder:
        """The paths of the run."""
        return self._folder

    @property
    def plan(self) -> Plan:
        """The plan that was run."""
        if self._plan is None:
            from specplan.plan.canonical import read_plan

            self._plan = read_plan(self._folder.plan_file).plan
        return self._plan

    def refresh(self) -> Run:
        """Look again how far the run has come; returns the run itself."""
        self._run_file = read_run_file(self._folder)
        if self._store is not None:
            self._store.refresh()
        return self

    def metrics(
        self, name: str | None = None, phase: str | None = None, split: str | None = None
    ) -> Table:
        """The logged values, one row each.

        Columns: run_id, session, phase, node, split, name, epoch, batch, step, time, value. A null
        batch means a value of the whole epoch or phase.

        Args:
            name: only this metric.
            phase: only this phase, by its path.
            split: only values of this split.

        Raises:
            RunError: the run has no such phase; or it is over, and has no such values.
        """
        from specplan.results.metrics import as_arrow

        return Table(as_arrow(self.metric_table(name, phase, split)))

    def metric_table(
        self, name: str | None = None, phase: str | None = None, split: str | None = None
    ) -> MetricTable:
        """As `metrics`, for what needs no Arrow."""
        metrics = self.metric_rows()
        if phase is not None:
            metrics = self._metrics_of_phase(metrics, phase)
        where = "" if phase is None else f" in phase `{phase}`"
        wanted: tuple[tuple[Literal["split", "name"], str | None], ...] = (
            ("split", split),
            ("name", name),
        )
        for column, label in wanted:
            if label is None:
                continue
            chosen = metrics.select(column, label)
            # What a run that goes on does not have it may have a moment later.
            if not len(chosen) and not self.status.is_unfinished:
                kind = "metric" if column == "name" else column
                known = choices(label, metrics.labels(column))
                raise RunError(f"no {kind} `{label}` was logged{where}; there: {known}")
            metrics = chosen
            where += f" on split `{label}`" if column == "split" else ""
        return metrics

    def metric_rows(self, first: int = 0) -> MetricTable:
        """The values from row `first` on: of a run that goes on, what has come since that many."""
        if self._has_records():
            return self._records().metrics(run_id=self.id, first=first)
        if self._folder.metrics_table.is_file():
            return read_metric_table(str(self._folder.metrics_table), first=first)
        return MetricTable()

    def spreads(self) -> list[Spread]:
        """Mean and deviation of each last metric over the folds or seeds of its phase.

        Empty for a run without such phases. `str` of one is a line to read.
        """
        from specplan.results.passes import spreads

        if not any(phase.passes for phase in self.plan.phases):
            return []
        return spreads(self.plan.phases, self.last_metrics())

    def last_metrics(self) -> list[dict[str, Any]]:
        """One row for each series: its last value, or that of the epoch whose weights stay."""
        return self.metric_rows().last(self._run_file.kept_epochs).rows()

    def execution_tables(self) -> dict[str, tuple[str, tuple[str, ...] | None]]:
        """What `execution` can be asked for, each with its phase and the nodes in it; None for all nodes.

        That is every phase that recorded something, and of one whose inputs have rows of their own in each
        step `<phase>.<FeatureSet>` for each.
        """
        from specplan.plan.by_feed import tables_of

        planned = {phase.path: tables_of(self.plan.graph, phase) for phase in self.plan.phases}
        recorded = dict.fromkeys(column.phase for column in self.channels() if column.phase)
        return {
            table: (path, nodes)
            for path in recorded
            for table, nodes in planned.get(path, {path: None}).items()
        }

    def execution(self, phase: str) -> Table:
        """What a phase recorded, one row per sample.

        Columns: run_id, phase, epoch, batch, sample_id, then `<node>.<field>`. A tensor is a flat
        list of fixed size, with `specplan.shape` and `specplan.dtype` in the field's metadata.

        Args:
            phase: path of the phase; of one whose inputs have rows of their own in each step,
                `<phase>.<FeatureSet>`, which is a table of its own.

        Raises:
            RunError: the phase recorded nothing, or has several tables.
        """
        written = self._folder.execution_table(phase)
        if not self.status.is_unfinished and written.is_file():
            from specplan.results.arrow_files import read_written

            return Table(read_written(written))
        known = self.execution_tables()
        if phase not in known:
            apart = [table for table, (path, _) in known.items() if path == phase]
            if apart:
                raise RunError(
                    f"the inputs of phase `{phase}` have rows of their own in each step, so each has a "
                    f"table: {quoted(apart)}"
                )
            raise RunError(f"no phase `{phase}` with records; known: {', '.join(known) or 'none'}")
        path, nodes = known[phase]
        chosen = [
            column
            for column in self.channels()
            if column.phase == path and (nodes is None or column.node in nodes)
        ]
        from specplan.results.execution import read_execution

        return Table(read_execution(chosen, run_id=self.id, phase=path))

    def tensors(
        self, node: str, field: str = "outputs", *, phase: str | None = None, role: str = "default"
    ) -> Tensors:
        """One recorded column, by (epoch, batch).

        Args:
            node: label of the node; of the FeatureSet for the field `sample_id`.
            field: outputs, targets or sample_id.
            phase: path of the phase; needed where several phases recorded the column.
            role: role of the sample.

        Raises:
            RunError: it was not recorded, or in several phases.
        """
        return find_column(self.channels(), Tensors, node=node, field=field, phase=phase, role=role)

    def ragged(
        self, node: str, field: str = "outputs", *, phase: str | None = None, role: str = "default"
    ) -> Ragged:
        """As `tensors`, of a column whose rows differ in shape: a list of arrays by (epoch, batch)."""
        return find_column(self.channels(), Ragged, node=node, field=field, phase=phase, role=role)

    def texts(
        self, node: str, field: str, *, phase: str | None = None, role: str = "default"
    ) -> Texts:
        """As `tensors`, of a column of texts: a list of strings by (epoch, batch)."""
        return find_column(self.channels(), Texts, node=node, field=field, phase=phase, role=role)

    def returned(self, phase: str) -> list[Returned]:
        """What callbacks returned in a phase: label, kind, epoch, batch, edge, and name and value of each.

        Raises:
            StoreError: the records of them are damaged.
        """
        return returned(self._records(), phase) if self._has_records() else []

    def documents(self, field: str, *, most: int | None = None, kind: Any = OBJECT) -> list[Any]:
        """What a program recorded under a field of no node, as `log` or `job`, oldest first.

        Args:
            field: name of the field.
            most: only so many of the last ones.
            kind: what each of them is, by default an object of JSON.

        Raises:
            StoreError: the records of them are damaged.
        """
        if not self._has_records():
            return []
        return [
            document
            for channel in self._records().texts()
            if channel.field == field and not channel.node
            for document in documents(
                channel, kind, first=max(0, channel.batches - (most or channel.batches))
            )
        ]

    @property
    def artifacts(self) -> Artifacts:
        """Figures, frames, files and other objects by name, of each name the newest; none that a program deleted.

        Raises:
            StoreError: the records of them are damaged.
        """
        if not self._has_records():
            return Artifacts({})
        return artifacts_of(self._folder, self._records())

    def channels(self) -> list[Tensors | Ragged | Texts]:
        """Every recorded column: tensors, ragged ones, texts; each in order of creation."""
        if not self._has_records():
            return []
        records, kept = self._records(), self.kept_epoch
        return [
            *(Tensors(reader, kept(reader.phase)) for reader in records.tensors()),
            *(Ragged(reader, kept(reader.phase)) for reader in records.ragged()),
            *(
                Texts(reader, kept(reader.phase))
                for reader in records.texts()
                if (reader.phase, reader.field) != ("", ARTIFACT)
            ),
        ]

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the run as one HTML page that needs nothing else; returns where. A file there is replaced.

        Raises:
            OSError: the file cannot be written.
            RunError, StoreError: the run is damaged.
        """
        from specplan.base.files import write_atomically
        from specplan.results.report import report_html

        target = Path(path)
        write_atomically(target, report_html(self).encode())
        return target

    def kept_epoch(self, phase: str) -> int | None:
        """The one epoch whose rows count, where a phase records only its last one; None for all."""
        if phase not in self._run_file.kept_epochs:
            return None
        (planned,) = (planned for planned in self.plan.phases if planned.path == phase)
        return self._run_file.kept_epoch(planned)

    def __repr__(self) -> str:
        return f"Run({self.experiment}/{self.id}, version {self.version}, {self.status})"

    def _records(self) -> StoreReader:
        if self._store is None:
            self._store = StoreReader.open(str(self._folder.records))
        return self._store

    def _has_records(self) -> bool:
        if self._store is not None:
            return True
        # A run that goes on may be making its store just now; of any other, what is missing is lost.
        is_made = self._run_file.status is not Status.RUNNING
        there = self._folder.records if is_made else self._folder.records_description
        return there.exists()

    def _metrics_of_phase(self, metrics: MetricTable, phase: str) -> MetricTable:
        chosen = metrics.select("phase", phase)
        if not len(chosen):
            planned = [each.path for each in self.plan.phases]
            if phase not in planned:
                raise RunError(f"the run has no phase `{phase}`; it has {choices(phase, planned)}")
        return chosen
