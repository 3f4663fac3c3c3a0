"""The Rust extension: text with positions, headers of table files, and the record store."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer, disjoint_base

__version__: str

# ---- text: one function for JSON and YAML 1.2 ------------------------------------------------

@final
class Span:
    """A place in a text. Lines and columns count from 1, columns in characters; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

@final
class Problem:
    """One fault of a text that was found while it was read."""

    code: str
    message: str
    span: Span
    related: tuple[str, Span] | None
    """A second place and its label, such as where a key was first defined."""
    hint: str | None
    edits: list[tuple[Span, str]]
    """What the hint says, done to the text."""

@final
class Text:
    """A parsed text: plain values, and where each of them stands."""

    value: Any
    """dict, list, str, int, float, bool or None. None also when a problem made the text unreadable.

    Where it was plain what was meant instead of a mistake, that is what it holds.
    """
    problems: list[Problem]
    cut: Span | None
    """The place from which on `value` is not what was meant; None where all of the text was read."""
    def value_span(self, path: Sequence[str | int]) -> Span | None:
        """Where the value at `path` stands; None where there is no such value."""
    def key_span(self, path: Sequence[str | int]) -> Span | None:
        """Where the key that ends `path` stands; None for list items and unknown paths."""

def parse_text(text: str, format: Literal["json", "yaml"]) -> Text:
    """Read a JSON or YAML 1.2 text (core schema: `1e-3` is a number, `on` and `no` are strings).

    Never raises for a fault in the text: syntax errors, duplicate keys, nesting deeper than 64,
    aliases beyond the limit and unsupported tags are listed in `problems`.
    """

# ---- headers of table files ------------------------------------------------------------------

@final
class ColumnHeader:
    """One column of a table file."""

    name: str
    dtype: str
    """numpy's name of the item type ("float32", "int64", "bool"), or "string", or "other: <arrow type>"."""
    shape: tuple[int, ...] | None
    """Shape of one row: () for a scalar; None for a list column whose rows differ in length."""
    nulls: int | None
    """Number of nulls, None where the file does not say."""

@final
class TableHeader:
    """What the footer of a table file says."""

    rows: int
    columns: list[ColumnHeader]
    digest: str
    """`b3:` and the BLAKE3 of the footer bytes and of the file's size, in hexadecimal."""

def read_table_header(path: str, format: Literal["parquet", "arrow"]) -> TableHeader:
    """Read the footer of a Parquet or Arrow IPC file, and for Arrow the headers of its record batches.

    Raises:
        DataError: the file is missing, is not of this format, or is damaged.
    """

# ---- rows of tables --------------------------------------------------------------------------

@final
class Keys:
    """The key of each row: equal values of some columns are one key, numbered as they come first."""

    counts: list[int]
    """Rows of each key."""
    rows: int
    def __new__(cls, columns: Sequence[tuple[bytes, Sequence[str]]]) -> Self:
        """From each column's codes, native unsigned integers of 32 bits, and the texts that they stand for."""
    def among(self, rows: NDArray[np.int64]) -> Keys:
        """The keys of some of the rows, numbered anew in their order. Raises IndexError."""
    def texts(self, key: int) -> list[str]:
        """The values that a key stands for, one of each column. Raises IndexError."""

def read_keys(path: str, format: Literal["parquet", "arrow"], columns: Sequence[str]) -> Keys:
    """The keys that columns of text, integers or booleans make.

    Raises:
        DataError: the file cannot be read, or a column holds something else or a null.
    """

@final
class Division:
    """The rows of each split."""

    def __new__(
        cls,
        rows: int,
        cells: Sequence[int],
        splits: int,
        *,
        keys: Keys | None = None,
        seed: int | None = None,
    ) -> Self:
        """Deal out rows: `cells` says, key by key, how many rows of the key each split gets.

        Rows come shuffled as by `numpy.random.default_rng(seed)`, in order for None; the first of a
        key go to the first split. Raises ValueError where cells and rows do not add up.
        """
    def split(self, index: int) -> NDArray[np.int64]:
        """The rows of one split, in the order in which they were dealt out. Raises IndexError."""

def shuffled(rows: int, seed: int) -> list[int]:
    """What `numpy.random.default_rng(seed).shuffle(numpy.arange(rows))` gives."""

@final
class ColumnScan:
    """What was found in one column of numbers."""

    not_finite: int
    """How many values are NaN or infinite."""
    first_not_finite: int | None
    """The row of the first of them."""
    has_fractions: bool
    """Whether a value is no whole number."""

@final
class Leak:
    """Rows of the split `second` that are also in the split `first`, which comes before it."""

    first: int
    second: int
    rows: int
    example: tuple[int, int]
    """The lowest such row of `second`, and the lowest of `first` that it equals."""

@final
class RowScan:
    """One look at every value of some columns; keeps 16 bytes a row, and 32 while it compares."""

    columns: list[ColumnScan]
    def __new__(cls, rows: int) -> Self: ...
    def add(self, dtype: str, rows: Buffer) -> None:
        """Look at a whole column of contiguous rows; `dtype` is numpy's name. Raises ValueError."""
    def compare(self, division: Division) -> tuple[int, list[Leak]]:
        """How many rows differ, and what splits share, bit by bit."""

def scan_rows(
    path: str, format: Literal["parquet", "arrow"], columns: Sequence[tuple[str, int]], rows: int
) -> RowScan:
    """Scan columns of a file; each name comes with its elements in a row.

    Raises:
        DataError: the file cannot be read, a row has a null or another number of elements.
    """

# ---- the record store: writing -----------------------------------------------------------------

@final
class Store:
    """The one writer of a run's records. Safe to call from several threads."""

    @staticmethod
    def create(
        path: str,
        *,
        run_id: str,
        session: int = 1,
        staging_bytes: int = 67_108_864,
        flush_milliseconds: int = 20,
        durability: Literal["process", "periodic", "disk"] = "process",
        on_error: Literal["stop", "drop"] = "stop",
    ) -> Store:
        """Create the folder `path` and start the drainer thread.

        `durability` says when records survive a loss of power: when the system writes them back, every
        five seconds, or after each round of writing. `on_error` says what a failed write does: every
        later call raises, or the records of that round are lost and counted.

        Raises:
            StoreError: the folder holds records already, another process writes it, or it cannot be made.
        """
    @staticmethod
    def open(
        path: str,
        *,
        session: int,
        rewind_to: int | None = None,
        staging_bytes: int = 67_108_864,
        flush_milliseconds: int = 20,
        durability: Literal["process", "periodic", "disk"] = "process",
        on_error: Literal["stop", "drop"] = "stop",
    ) -> Store:
        """Continue the store in `path`, whatever ended the session before; `session` is larger than its number.

        With `rewind_to`, records after that sequence number are hidden from every reader, for good.

        Raises:
            StoreError: there is no store, another process writes it, its records end before `rewind_to`, or
                it is damaged.
        """
    def tensor(
        self,
        *,
        phase: str,
        node: str,
        role: str,
        field: str,
        dtype: str,
        shape: Sequence[int],
    ) -> TensorChannel:
        """Open the channel of one recorded value. `shape` is that of one row; `dtype` is numpy's name."""
    def ragged(
        self,
        *,
        phase: str,
        node: str,
        role: str,
        field: str,
        dtype: str,
        dimensions: int,
    ) -> RaggedChannel:
        """Open the channel of a value whose rows are arrays of `dimensions` dimensions, each of its own shape."""
    def text(
        self, *, phase: str, node: str, role: str, field: str, json: bool = False
    ) -> TextChannel:
        """Open the channel of a value whose rows are strings, or with `json` JSON documents."""
    def metrics(self, series: Sequence[tuple[str, str | None, str | None, str]]) -> MetricGroup:
        """Open a group of series, each (phase, node, split, name), that are logged together."""
    def sync(self, *, durable: bool = False) -> int:
        """Wait until everything recorded so far is on file; returns the watermark (docs/format.md).

        With `durable` it is on disk too, whatever the level of the store.

        Raises:
            StoreError: a write failed, or a slot was acquired and neither committed nor given up.
        """
    @property
    def durable(self) -> int:
        """Everything up to this sequence number survives a loss of power."""
    def statistics(self) -> dict[str, int]:
        """Counters: records, bytes, stalls, stall_nanoseconds, drains, chunks, dropped."""
    def close(self) -> None:
        """Write what is staged, close every file and stop the thread. A second call does nothing."""

@final
class TensorChannel:
    """A growing column of equal-shaped rows."""

    def record(self, array: Any, epoch: int, batch: int) -> int:
        """Copy a batch of rows (axis 0) and return its run-wide sequence number.

        `array` is a numpy array, a torch CPU tensor (may require grad), or any buffer. Non-contiguous
        arrays are made contiguous. The value recorded is the value at the call.

        Raises:
            TypeError: dtype differs from the channel's, or the array is not on the CPU.
            ValueError: shape differs from the channel's.
            StoreError: an earlier write failed.
        """
    def acquire(self, rows: int, epoch: int, batch: int) -> Slot:
        """Take a batch's place in the order now, and fill in its rows later, as a device copies them.

        Raises:
            ValueError: there can be no batch of that size.
            StoreError: an earlier write failed, or the staging memory is full behind another slot.
        """

@final
class RaggedChannel:
    """A growing column of arrays that have the same number of dimensions, and each its own shape."""

    def record(self, arrays: Iterable[Any], epoch: int, batch: int) -> int:
        """Copy a batch, each array one row, and return its run-wide sequence number.

        Arrays are what `TensorChannel.record` takes. The values recorded are the values at the call.

        Raises:
            TypeError: the dtype of an array differs from the channel's, or it is not on the CPU.
            ValueError: an array has another number of dimensions, or the batch more than 2,147,483,647 numbers.
            StoreError: an earlier write failed.
        """

@final
class TextChannel:
    """A growing column of strings, or of JSON documents."""

    def record(self, texts: Iterable[str], epoch: int, batch: int) -> int:
        """Copy a batch, each text one row, and return its run-wide sequence number.

        Raises:
            TypeError: an item is no string, or `texts` is itself one.
            ValueError: a text has no UTF-8 (half a surrogate pair), or is not the JSON that the channel holds, or
                the batch has more than 2,147,483,647 bytes.
            StoreError: an earlier write failed.
        """

@final
class Slot:
    """A batch that waits for its rows. Given up, it is no record and leaves a gap in the order.

    As a context manager it is committed at the end of the block, and given up when that raises.
    """

    @property
    def array(self) -> NDArray[Any]:
        """Where the rows belong, of the channel's type. Holds old values; read-only after the commit."""
    @property
    def address(self) -> int:
        """Address of the array, at the start of a page. Pages are used again by later slots."""
    @property
    def capacity(self) -> int:
        """Bytes of the pages at the address."""
    @property
    def sequence(self) -> int:
        """Run-wide sequence number of the record."""
    def commit(self) -> int:
        """Record the rows as they are now; returns the sequence number."""
    def __enter__(self) -> Self: ...
    def __exit__(self, error_type: object, error: object, traceback: object) -> None: ...

@final
class MetricGroup:
    """Series that are logged together: one call, one number or small buffer of float64."""

    def log(
        self,
        values: float | Buffer | NDArray[np.float64] | Sequence[float],
        epoch: int,
        batch: int,
        step: int,
        time: int | None = None,
    ) -> int:
        """Record one float64 for each series and return the sequence number.

        `batch` -1 means the whole epoch or phase, `epoch` -1 a phase without epochs. `time` is in
        nanoseconds since 1970, None for now.
        """

# ---- the record store: reading -----------------------------------------------------------------

@final
class StoreReader:
    """A reader of a live, crashed or closed store. Takes no lock and writes nothing."""

    @staticmethod
    def open(path: str, *, check: bool = True) -> StoreReader:
        """Open a store; with `check`, batches are compared with their checksums the first time that they are read.

        Raises:
            StoreError: there is no store, it is damaged, or of a newer format.
        """
    def refresh(self) -> int:
        """Look again how far the writer has come; returns the watermark."""
    @property
    def watermark(self) -> int: ...
    def verify(self) -> list[Damage]:
        """Compare every file with its checksums; goes on after a problem."""
    @property
    def closed(self) -> bool:
        """True once the writer closed the store."""
    @property
    def durable(self) -> int:
        """Sequence number up to which records survive a loss of power."""
    @property
    def dropped(self) -> int:
        """Records of the whole run that were accepted and lost."""
    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The writers in order: session, first_sequence, rewound_to, created, process, host, boot_id."""
    def tensors(self) -> list[TensorReader]:
        """Every tensor channel, in order of creation."""
    def ragged(self) -> list[RaggedReader]:
        """Every channel of arrays of different shapes, in order of creation."""
    def texts(self) -> list[TextReader]:
        """Every channel of strings or JSON documents, in order of creation."""
    def metrics(self, *, run_id: str, first: int = 0) -> MetricTable:
        """The visible rows of the metrics from row `first` on.

        Raises:
            StoreError: a row does not match its checksum, or records are missing.
        """
    @property
    def last_metric(self) -> int:
        """Number of the record of the last visible row of the metrics; 0 where there is none.

        Raises:
            StoreError: the row does not match its checksum.
        """
    def metric_files(self) -> list[tuple[str, int, int]]:
        """Where the visible rows of the metrics stand, in order: an Arrow IPC file, the first row, how many rows.

        Raises:
            StoreError: a row does not match its checksum, or records are missing.
        """

@final
class MetricTable:
    """Rows of metrics in memory, in the order of recording. Arrow takes it as it is: `pyarrow.table(metrics)`."""

    def __new__(cls) -> Self: ...
    def __len__(self) -> int: ...
    def labels(self, column: Literal["phase", "split", "node", "name"]) -> list[str]:
        """The labels that there are, in the order in which they first occur."""
    def select(self, column: Literal["phase", "split", "node", "name"], text: str) -> MetricTable:
        """The rows of the series that have a label."""
    def last(self, kept_epochs: dict[str, int]) -> MetricTable:
        """One row for each series, its last value; rows keep their order.

        Where a series has values of whole epochs or phases, it is the last of those; and of those the last one that
        is not later than the kept epoch of the phase, if there is one.
        """
    def last_epochs(self) -> dict[str, int]:
        """The latest epoch that each phase has values of, by the path of the phase."""
    def rows(self) -> list[dict[str, Any]]:
        """Every row by the names of the columns, times as ISO 8601: a Python datetime has no nanoseconds."""
    def csv(self) -> bytes:
        """All rows under a line of names: texts in quotes, nothing for null."""
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any: ...

def read_metric_table(path: str, *, first: int = 0) -> MetricTable:
    """Read a table that `export_metrics` wrote, from row `first` on.

    Raises:
        StoreError: it cannot be read, does not match its digest, or has other columns.
    """

@disjoint_base
class ChannelReader:
    """One channel of any kind."""

    @property
    def phase(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def dtype(self) -> str:
        """Name of the type of its numbers, or "string" or "json"."""
    @property
    def rows(self) -> int: ...
    @property
    def batches(self) -> int: ...
    def counts(self, epoch: int | None = None) -> tuple[int, int]:
        """How many batches and rows there are; of one epoch, or of all."""
    def index(self) -> dict[str, NDArray[np.int64]]:
        """One entry per batch: sequence, epoch, batch, rows, row_start, time (nanoseconds since 1970, UTC).

        `row_start` counts visible rows, as they stand in `files`.
        """
    def files(self) -> list[tuple[str, int, int]]:
        """Where the visible rows stand, in order: an Arrow IPC file, the first row, how many rows."""

@final
class TensorReader(ChannelReader):
    """One tensor channel. Arrays are read-only and alias the memory-mapped file; they stay valid when the reader is gone."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def get(self, epoch: int, batch: int) -> NDArray[Any]:
        """The rows of one batch, shape (rows, *shape). Raises KeyError if it was not recorded."""
    def at(self, position: int) -> NDArray[Any]:
        """The rows of the batch at `position` in the order of recording. Raises IndexError."""
    def private(self, epoch: int, batch: int) -> NDArray[Any]:
        """As `get`, but writable: on a map of its own, whose changes nobody else sees. Nothing is copied before."""
    def chunks(self) -> list[NDArray[Any]]:
        """All visible rows, one array per stretch of them in a file."""

@final
class RaggedReader(ChannelReader):
    """One channel of arrays of different shapes. Arrays alias the memory-mapped file, as those of a tensor channel do."""

    @property
    def dimensions(self) -> int:
        """Number of dimensions of each row."""
    def get(self, epoch: int, batch: int) -> list[NDArray[Any]]:
        """The rows of one batch. Raises KeyError if it was not recorded."""
    def at(self, position: int) -> list[NDArray[Any]]:
        """The rows of the batch at `position` in the order of recording. Raises IndexError."""

@final
class TextReader(ChannelReader):
    """One channel of strings or JSON documents."""

    def get(self, epoch: int, batch: int) -> list[str]:
        """The rows of one batch. Raises KeyError if it was not recorded."""
    def at(self, position: int) -> list[str]:
        """The rows of the batch at `position` in the order of recording. Raises IndexError."""

# ---- export --------------------------------------------------------------------------------------

def export_metrics(store: str, path: str, *, run_id: str) -> int:
    """Write the metrics at or below the watermark as Parquet; returns the rows.

    Columns: run_id, session, phase, node, split, name, epoch, batch, step, time, value. Written aside,
    re-read and compared, then renamed. -1 in epoch and batch becomes null.
    """

def export_execution(
    store: str,
    phase: str,
    path: str,
    *,
    run_id: str,
    epoch: int | None = None,
    nodes: Sequence[str] | None = None,
) -> int:
    """Write one phase's tensor channels as Parquet, one row per sample; returns the rows.

    With `epoch`, only the rows that were recorded in it; with `nodes`, only the channels of these.

    Columns: run_id, phase, epoch, batch, sample_id, then `<node>.<field>` for each channel (with
    `<node>.<role>.<field>` where the role is not "default"): a plain number for rows of shape (),
    a flat FixedSizeList with `specplan.shape` and `specplan.dtype` in the field's metadata otherwise.
    Batches are joined by (epoch, batch). Written aside, re-read and compared, then renamed.
    """

def verify_parquet(path: str) -> None:
    """Compare a table that this package wrote with the digest in its footer.

    Raises:
        StoreError: the file is damaged, cannot be read, or has no digest.
    """

# ---- verify and repair ---------------------------------------------------------------------------

@final
class Damage:
    """One thing that is wrong with a file. `path` is empty where it is about no file."""

    path: str
    offset: int | None
    message: str

@final
class Verified:
    """What a verification looked at: visible batches and metrics that are whole, and files."""

    batches: int
    metric_rows: int
    files: int
    damages: list[Damage]

def verify_store(path: str) -> Verified:
    """Compare every file of a store with its checksums, also of one that cannot be opened.

    Raises:
        StoreError: the folder cannot be listed, or a file is of a later version.
    """

@final
class Repaired:
    """What was saved of a store: its batches and metrics, what was wrong with the original, what the copy
    lacks, and what of it could not be compared with a checksum."""

    batches: int
    metric_rows: int
    damages: list[Damage]
    left_out: list[str]
    unproven: list[str]

def repair_store(path: str, to: str, *, run_id: str, without: Sequence[int]) -> Repaired:
    """Write everything that is whole in a store into a new one; the old one is only read.

    Records keep their sequence numbers and times; the numbers of those left out are hidden. `run_id` is
    that of a store whose description is lost; records of the numbers in `without` are left out, too.

    Raises:
        StoreError: nothing could be saved, `to` exists, or a file is of a later version.
    """
