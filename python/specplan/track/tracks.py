"""Values over time by topic: `exp.tracks("robot/position").append(_ts=0.1, x=1.0)`."""

from __future__ import annotations

import bisect
import math
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import msgspec

from specplan.base.files import write_atomically
from specplan.errors import StoreError
from specplan.spec.wording import choices
from specplan.store.fields import TRACKS
from specplan.track.metric_row import STAMP
from specplan.track.parameters import flat
from specplan.track.plain import plain
from specplan.track.stamps import stamp_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from specplan.track.run import TrackedRun

FORMATS = ("json", "jsonl", "parquet", "mocap")
_JSON = ("json", "mocap")
"""What captures of motion are read as is JSON."""


class Entries:
    """Entries of a track in the order of their times, as they were when they were asked for.

    An entry is a mapping of the fields of one time, which it has as `_ts` and as `timestamp`. Fields of
    mappings have names with dots.
    """

    def __init__(self, entries: Sequence[dict[str, Any]]) -> None:
        self._entries = list(entries)
        self._times = [entry[STAMP] for entry in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> dict[str, Any]:
        entry = self._entries[index]
        return {"timestamp": entry[STAMP], **entry}

    def __repr__(self) -> str:
        times = f" from {self._times[0]} to {self._times[-1]}" if self._times else ""
        return f"<{len(self)} entries{times}>"

    def slice(
        self, start_timestamp: float | None = None, end_timestamp: float | None = None
    ) -> Entries:
        """The entries from a time on, and before or at another."""
        start, end = start_timestamp, end_timestamp
        first = 0 if start is None else bisect.bisect_left(self._times, start)
        last = len(self) if end is None else bisect.bisect_right(self._times, end)
        return Entries(self._entries[first:last])

    def of(self, columns: Iterable[str]) -> Entries:
        """The same with only these fields, and the times."""
        kept = {*columns, STAMP}
        return Entries([{n: each[n] for n in each if n in kept} for each in self._entries])

    def encoded(self, format: str) -> Any:
        """The entries as json or mocap, `{"entries": [...], "count": n}`, or the bytes of jsonl or parquet.

        Raises:
            ValueError: there is no such format.
        """
        _check_format(format)
        shown = list(self)
        return (
            {"entries": shown, "count": len(shown)} if format in _JSON else _encoded(shown, format)
        )

    @overload
    def findByTime(self, time: float) -> dict[str, Any]: ...
    @overload
    def findByTime(self, time: Iterable[float]) -> list[dict[str, Any]]: ...
    def findByTime(  # noqa: N802 -- documented so
        self, time: float | Iterable[float]
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """The last entry at or before a time; for several times a list.

        Raises:
            KeyError: there is none so early.
        """
        if isinstance(time, Iterable):
            return [self.findByTime(each) for each in time]
        place = bisect.bisect_right(self._times, time) - 1
        if place < 0:
            first = f"the first is at {self._times[0]}" if self._times else "there are none"
            raise KeyError(f"no entry at or before {time}; {first}")
        return self[place]

    def export(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """Write the entries to a file, whole or not at all.

        Args:
            path: of the file.
            format: json or mocap (an array), jsonl (a line for each), or parquet (a column for each
                field); by default what the suffix says.

        Raises:
            ValueError: there is no such format.
        """
        target = Path(path)
        chosen = format or target.suffix.removeprefix(".")
        _check_format(chosen)
        write_atomically(target, _encoded(self._entries, chosen))
        return target


class Track:
    """The entries of one topic. Those of one time are one: a field that is appended again has the newer value."""

    def __init__(self, topic: str, run: Callable[[], TrackedRun]) -> None:
        self.topic = topic
        self._run = run

    def append(self, *, _ts: float | None = None, **fields: Any) -> Track:
        """Add an entry.

        Args:
            _ts: its time in seconds, by default now since 1970; -1 for that of the entry or row of metrics
                before, in this thread.
            fields: numbers, texts, and lists and mappings of them.

        Raises:
            RuntimeError: the run has not begun, or is over.
            TypeError: a value is none that JSON holds.
            ValueError: the time is no finite number.
        """
        stamp = float(stamp_of(_ts))
        check_stamp(stamp)
        entry = {STAMP: stamp, **plain(fields, f"track {self.topic}")}
        self._run().record_document(TRACKS, entry, node=self.topic)
        return self

    def read(
        self,
        *,
        start_timestamp: float | None = None,
        end_timestamp: float | None = None,
        columns: Sequence[str] | None = None,
        format: str | None = None,
    ) -> Any:
        """Entries, in the order of their times; all of them unless something else is said.

        Args:
            start_timestamp: the entries from here on.
            end_timestamp: those before or at this.
            columns: the fields that are wanted; by default all.
            format: json and mocap give `{"entries": [...], "count": n}`; jsonl and parquet give bytes. By default, `Entries`.

        Raises:
            ValueError: there is no such format.
        """
        found = merged(self._run().documents(TRACKS, node=self.topic))
        entries = found.slice(start_timestamp, end_timestamp)
        if columns is not None:
            entries = entries.of(columns)
        return entries if format is None else entries.encoded(format)

    def list_entries(self) -> list[dict[str, Any]]:
        """All entries, in the order of their times."""
        return list(self.slice())

    def flush(self) -> Track:
        """Wait until everything that was appended is on file."""
        self._run().sync()
        return self

    def slice(
        self, start_timestamp: float | None = None, end_timestamp: float | None = None
    ) -> Entries:
        """The entries from a time on, and before or at another."""
        entries: Entries = self.read(start_timestamp=start_timestamp, end_timestamp=end_timestamp)
        return entries

    def export(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """As `Entries.export`, of all entries."""
        return self.slice().export(path, format)


class Tracks:
    """The tracks of a run, by topic: one or more parts divided by `/`."""

    def __init__(self, run: Callable[[], TrackedRun]) -> None:
        self._run = run
        self._named: dict[str, Track] = {}
        self._lock = threading.Lock()

    def __call__(self, topic: str) -> Track:
        """The track of a topic."""
        if not topic:
            raise ValueError("a track has a topic")
        self._run()
        with self._lock:
            return self._named.setdefault(topic, Track(topic, self._run))

    def flush(self) -> None:
        """Wait until everything that was appended is on file."""
        self._run().sync()

    def list_all(self) -> list[str]:
        """The topics that have entries, in the order of the first of each."""
        return self._run().text_nodes(TRACKS)


def _check_format(name: str) -> None:
    if name not in FORMATS:
        raise ValueError(f"no format `{name}`; known: {choices(name, FORMATS)}")


def _encoded(entries: Sequence[dict[str, Any]], form: str) -> bytes:
    if form == "parquet":
        return _parquet(entries)
    if form in _JSON:
        return msgspec.json.encode(entries)
    return b"".join(msgspec.json.encode(each) + b"\n" for each in entries)


def _parquet(entries: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = dict.fromkeys(name for entry in entries for name in entry)
    columns = {name: [entry.get(name) for entry in entries] for name in names}
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(pa.table(columns), sink)
    except pa.ArrowException as error:
        raise ValueError(f"the entries fit no table: {error}") from error
    content: bytes = sink.getvalue().to_pybytes()
    return content


def check_stamp(stamp: float) -> None:
    """Raise ValueError for a time that is no place in an order."""
    if not math.isfinite(stamp):
        raise ValueError(f"`_ts` is a finite number of seconds, not {stamp}")


def merged(entries: Iterable[dict[str, Any]]) -> Entries:
    """Entries in the order of their times, those of one time as one.

    Raises:
        StoreError: one is damaged: it has no time.
    """
    found: dict[float, dict[str, Any]] = {}
    for entry in entries:
        stamp = entry.get(STAMP)
        if not isinstance(stamp, int | float):
            raise StoreError(f"a document of `{TRACKS}` is damaged: it has no time `{STAMP}`")
        found.setdefault(stamp, {}).update(flat(entry))
    return Entries([found[stamp] for stamp in sorted(found)])
