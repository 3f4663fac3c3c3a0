"""A run folder as tables and arrays, while it is written and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan._native import StoreReader
from specplan.errors import RunError
from specplan.results.locate import find_run
from specplan.results.status import phases_now, read_run_file, status_now
from specplan.results.table import Table
from specplan.results.tensors import Tensors
from specplan.store.root import runs_root
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from specplan._native import TensorReader
    from specplan.plan.model import Plan
    from specplan.store.layout import RunFolder
    from specplan.store.run_file import PhaseTiming, RunFile

UNFINISHED = (Status.CREATED, Status.RUNNING)


def open_run(path: str | Path, *, root: str | Path | None = None) -> Run:
    """Open a run for reading.

    Args:
        path: a run folder; or, below `root`, `<experiment>/<run>`, a run id, or an experiment,
            which means its newest run.
        root: folder of all runs; $SPECPLAN_HOME or ./runs when it is not given.

    Raises:
        RunError: there is no such run.
        StoreError: its records are damaged.
    """
    return Run(find_run(path, runs_root(root)))


class Run:
    """One run, read only. It may be running in another process: then what is committed is seen.

    Everything shows the run as it was when it was opened or last refreshed.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._run_file = read_run_file(folder)
        self._store: StoreReader | None = None
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
        """
        from specplan.results.metrics import select

        return Table(select(self._all_metrics(), name=name, phase=phase, split=split))

    def execution(self, phase: str) -> Table:
        """What a phase recorded, one row per sample.

        Columns: run_id, phase, epoch, batch, sample_id, then `<node>.<field>`. A tensor is a flat
        list of fixed size, with `specplan.shape` and `specplan.dtype` in the field's metadata.

        Raises:
            RunError: the phase recorded nothing.
        """
        written = self._folder.execution_table(phase)
        if self.status not in UNFINISHED and written.is_file():
            from specplan.results.arrow_files import read_parquet

            return Table(read_parquet(written))
        channels = [channel for channel in self._channels() if channel.phase == phase]
        if not channels:
            raise RunError(self._unknown("phase", phase, _phases(self._channels())))
        from specplan.results.execution import read_execution

        kept = self.kept_epoch(phase)
        return Table(read_execution(channels, run_id=self.id, phase=phase, kept=kept))

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
        channels = self._channels()
        found = [
            channel
            for channel in channels
            if (channel.node, channel.field, channel.role) == (node, field, role)
            and phase in (None, channel.phase)
        ]
        if not found:
            raise RunError(self._not_recorded(node, field, role, phase))
        if len(found) > 1:
            phases = ", ".join(f"`{channel.phase}`" for channel in found)
            raise RunError(
                f"{len(found)} phases recorded {_channel_name(node, role, field)}: {phases}\n"
                f'hint: say which, as in phase="{found[0].phase}"'
            )
        return Tensors(found[0], self.kept_epoch(found[0].phase))

    def channels(self) -> list[Tensors]:
        """Every recorded column, in order of creation."""
        return [Tensors(channel, self.kept_epoch(channel.phase)) for channel in self._channels()]

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
        return self._store is not None or self._folder.records.is_dir()

    def _channels(self) -> Sequence[TensorReader]:
        return self._records().tensors() if self._has_records() else []

    def _all_metrics(self) -> pa.Table:
        from specplan.results.metrics import SCHEMA, read_metrics

        if self._has_records():
            return read_metrics(self._records(), run_id=self.id)
        if self._folder.metrics_table.is_file():
            from specplan.results.arrow_files import read_parquet

            return read_parquet(self._folder.metrics_table).cast(SCHEMA)
        return SCHEMA.empty_table()

    def _not_recorded(self, node: str, field: str, role: str, phase: str | None) -> str:
        what = _channel_name(node, role, field)
        where = f" in phase `{phase}`" if phase is not None else ""
        known = [f"{c.phase}: {_channel_name(c.node, c.role, c.field)}" for c in self._channels()]
        return f"{what} is not recorded{where}; recorded: {', '.join(known) or 'nothing'}"

    def _unknown(self, kind: str, name: str, known: Sequence[str]) -> str:
        return f"no {kind} `{name}` with records; known: {', '.join(known) or 'none'}"


def _phases(channels: Sequence[TensorReader]) -> list[str]:
    return list(dict.fromkeys(channel.phase for channel in channels))


def _channel_name(node: str, role: str, field: str) -> str:
    return f"`{node}.{field}`" if role == "default" else f"`{node}.{role}.{field}`"
