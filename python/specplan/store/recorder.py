"""Where a run's events go: the one place that opens channels and series of the record store."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from specplan._native import Store, StoreReader, export_execution, export_metrics
from specplan.errors import StoreError
from specplan.store.artifacts import ArtifactFolder, ArtifactRow
from specplan.store.documents import channel_of, documents
from specplan.store.fields import ARTIFACT, RETURNED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from specplan.plan.model import Record, Results
    from specplan.store.device import Copies
    from specplan.store.layout import RunFolder

WHOLE = -1
"""The batch of a metric that counts for a whole epoch or phase."""
SYSTEM = "system/"
"""What the names of metrics of the machine begin with."""


def beside(phase: str, name: str) -> str:
    """Where records go that belong to a phase and are no rows of its execution table."""
    return f"{phase}@{name}"


class Recorder:
    """Writes the records of one session of a run. Hands out bound native methods: steps call nothing else.

    A session after the first goes on with the store that is there; with `rewind_to` as if nothing had
    been recorded after that number: later records are hidden, and their artifacts gone.
    """

    def __init__(
        self,
        folder: RunFolder,
        run_id: str,
        *,
        results: Results,
        device: str = "cpu",
        session: int = 1,
        rewind_to: int | None = None,
    ) -> None:
        self._folder = folder
        self._run_id = run_id
        self._recorded_phases: set[str] = set()
        self._drops = results.on_error == "drop"
        self._dropped_artifacts = 0
        self._unwritten_tables: set[str] = set()
        durable = results.durability != "process"
        # The folder may be a link that was made with the run. One that comes later is not followed.
        self._artifacts = ArtifactFolder(folder.artifacts.resolve(), durable=durable)
        self._artifacts_lock = threading.Lock()
        self._record_artifact: Callable[[Sequence[str], int, int], int] | None = None
        self._returned: dict[str, Callable[..., int]] = {}
        self._unopened: list[Unopened] = []
        opened = (
            partial(Store.create, run_id=run_id)
            if session == 1 or not folder.records.exists()
            else partial(Store.open, rewind_to=rewind_to)
        )
        files = set() if rewind_to is None else _artifact_files(folder)
        self._store = opened(
            str(folder.records),
            session=session,
            durability=results.durability,
            on_error=results.on_error,
        )
        if rewind_to is not None:
            for file in files - _artifact_files(folder):
                self._artifacts.remove(file)
        self._copies: Copies | None = None
        if device.startswith("cuda"):
            from specplan.store.device import Copies, Cuda

            self._copies = Copies(Cuda())

    def tensors(
        self, phase: str, records: Sequence[Record]
    ) -> list[Callable[[Any, int, int], int]]:
        """One `record(array, epoch, batch)` for each of `records`."""
        if records:
            self._recorded_phases.add(phase)
        return [self._opened(partial(self._tensor, phase, record)) for record in records]

    def series(
        self, phase: str, series: Sequence[tuple[str | None, str | None, str]]
    ) -> Callable[..., int]:
        """`log(values, epoch, batch, step)` of series that are logged together, each (node, split, name)."""
        labels = [(phase, node, split, name) for node, split, name in series]
        return self._opened(lambda: self._store.metrics(labels).log)

    def texts(self, phase: str, *, node: str, field: str) -> Callable[..., int]:
        """`record(texts, epoch, batch)` of JSON documents."""
        return self._opened(
            lambda: (
                self._store.text(
                    phase=phase, node=node, role="default", field=field, json=True
                ).record
            )
        )

    def artifact(
        self,
        name: str,
        value: Any,
        *,
        phase: str | None = None,
        epoch: int | None = None,
        batch: int | None = None,
        step: int | None = None,
    ) -> ArtifactRow | None:
        """Keep a figure, array, tensor, frame, JSON value, text, bytes, or copy of a file or folder.

        The file has the value at the call. A name that was used before gets another file.

        Args:
            name: path below `artifacts/`; its suffix may choose the format, and is added where there is none.
            value: what to keep; a path means the file or folder there.
            phase: path of the phase in which it was made; `epoch`, `batch` and `step` say where in it.

        Returns:
            What is recorded of it; None where it could not be written and may be dropped.

        Raises:
            TypeError: the value could only be pickled.
            ValueError: the name leaves the folder, or does not fit the value.
            FileNotFoundError: there is nothing at the path.
            StoreError: the artifact could not be written.
        """
        with self._artifacts_lock:
            try:
                row = self._artifacts.save(name, value)
                if self._record_artifact is None:
                    self._record_artifact = self._store.text(
                        phase="", node="", role="default", field=ARTIFACT, json=True
                    ).record
            except StoreError:
                if not self._drops:
                    raise
                self._dropped_artifacts += 1
                return None
            row = msgspec.structs.replace(row, phase=phase, epoch=epoch, batch=batch, step=step)
            text = msgspec.json.encode(row).decode()
            of_epoch, of_batch = (WHOLE if key is None else key for key in (epoch, batch))
            self._record_artifact([text], of_epoch, of_batch)
            return row

    def commit(self) -> int:
        """Put everything that was recorded on disk, and return the number of the last record.

        Raises:
            StoreError: it could not be written.
        """
        if self._copies is not None:
            self._copies.finish()
        self._artifacts.sync()
        return self._store.sync(durable=True)

    def returned(self, phase: str, row: Mapping[str, Any]) -> None:
        """Keep what a callback returned in a phase: plain values, with its `epoch` and `batch` or None."""
        if phase not in self._returned:
            self._returned[phase] = self._opened(
                lambda: (
                    self._store.text(
                        phase=beside(phase, "callbacks"),
                        node="",
                        role="default",
                        field=RETURNED,
                        json=True,
                    ).record
                )
            )
        of_epoch, of_batch = (WHOLE if row[key] is None else row[key] for key in ("epoch", "batch"))
        self._returned[phase]([msgspec.json.encode(row).decode()], of_epoch, of_batch)

    def sync(self) -> int:
        """Wait until everything that was recorded is on file, and return the number of the last record."""
        if self._copies is not None:
            self._copies.finish()
        return self._store.sync()

    def close(self) -> None:
        """Write what is staged, close every file and put all of it on disk."""
        try:
            if self._copies is not None:
                self._copies.close()
            self._artifacts.sync()
        finally:
            self._store.close()

    def statistics(self) -> dict[str, int]:
        """The counters of the store, and what else could not be written."""
        counters = self._store.statistics()
        return {
            **counters,
            "dropped": counters["dropped"] + sum(channel.lost for channel in self._unopened),
            "dropped_artifacts": self._dropped_artifacts,
            "dropped_tables": len(self._unwritten_tables),
        }

    def export_phase(
        self, phase: str, *, table: str, nodes: Sequence[str] | None, kept_epoch: int | None
    ) -> None:
        """Write an execution table of what is on file of a phase, if it records anything.

        `nodes` are those whose columns it has, None for all; `kept_epoch` is the only epoch whose rows
        count, None for all.
        """
        if phase not in self._recorded_phases:
            return
        records, path = str(self._folder.records), self._folder.execution_table(table)
        with self._writing(path):
            export_execution(
                records, phase, str(path), run_id=self._run_id, epoch=kept_epoch, nodes=nodes
            )

    def export_metrics(self) -> None:
        """Write the metrics table of what is on file."""
        records, table = str(self._folder.records), self._folder.metrics_table
        with self._writing(table):
            export_metrics(records, str(table), run_id=self._run_id)

    @contextmanager
    def _writing(self, table: Path) -> Iterator[None]:
        try:
            self._folder.tables.mkdir(exist_ok=True)
            yield
        except (OSError, StoreError):
            if not self._drops:
                raise
            # The table says nothing that the records do not: `mlx export` writes it when there is room.
            self._unwritten_tables.add(table.name)

    def _opened(self, open_: Callable[[], Callable[..., int]]) -> Callable[..., int]:
        try:
            return open_()
        except StoreError:
            if not self._drops:
                raise
            self._unopened.append(Unopened(open_))
            return self._unopened[-1].record

    def _tensor(self, phase: str, record: Record) -> Callable[[Any, int, int], int]:
        channel = self._store.tensor(
            phase=phase,
            node=record.node,
            role=record.role,
            field=record.field,
            dtype=record.dtype,
            shape=record.shape,
        )
        # Row numbers are made on the CPU, wherever the models are.
        if self._copies is None or record.field == "sample_id":
            return channel.record
        from specplan.store.device import DeviceChannel

        shape = tuple(record.shape)
        return DeviceChannel(channel, self._copies, dtype=record.dtype, shape=shape).record


def _artifact_files(folder: RunFolder) -> set[str]:
    """The files of all artifacts that the records tell of."""
    if not folder.records.exists():
        return set()
    channel = channel_of(StoreReader.open(str(folder.records)), ARTIFACT)
    return {row.file for row in documents(channel, ArtifactRow)}


class Unopened:
    """A channel for which there was no room on the disk. Its records are lost until there is."""

    def __init__(self, open_: Callable[[], Callable[..., int]]) -> None:
        self._open = open_
        self._record: Callable[..., int] | None = None
        self.lost = 0

    def record(self, *arguments: Any) -> int:
        """Record if the channel can be opened now; 0, which is no sequence number, if not."""
        if self._record is None:
            try:
                self._record = self._open()
            except StoreError:
                self.lost += 1
                return 0
        return self._record(*arguments)
