"""The runs below a root at a glance. What was found out is kept in a file, which nothing depends on.

The file has what run.json, tags, settings and last metrics of each run said, with a stamp that changes when one of
these files is replaced. Any number of processes may write it: each replaces it as a whole. A file that is damaged, of
another form or not there is a file in which nothing is known.
"""

from __future__ import annotations

import time
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RunError, StoreError
from specplan.results.conditions import ABSENT
from specplan.results.settings import resolve, settings
from specplan.results.status import present_status, read_run_file
from specplan.results.walk import walk
from specplan.store.layout import RunFolder, index_file
from specplan.store.run_file import Session, Status  # noqa: TC001 -- msgspec reads the annotation
from specplan.store.tags import Tags, read_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from specplan.results.walk import Found

FORMAT = 3
WORTH_WRITING = 32
"""New findings from which on the file is written: fewer are found again in no time."""
SETTLED_NS = 2_000_000_000
"""A file that changed less long ago may change again without its stamp changing."""


class Entry(msgspec.Struct, array_like=True):
    """What is known of a run. None of the last four means that nobody asked yet.

    Attributes:
        experiment: the folder of its experiment below the root, by which other commands find it. That of a job lies
            inside that of the experiment that submitted it.
    """

    stamp: tuple[int, ...]
    experiment: str
    run_id: str
    version: int
    written: Status
    session: Session
    created_at: str
    plan_id: str
    tags: Tags | None = None
    params: dict[str, Any] | None = None
    metrics: dict[str, float] | None = None
    means: dict[str, float] | None = None


class _File(msgspec.Struct, array_like=True):
    format: int
    entries: dict[str, Entry]


class Listed(msgspec.Struct):
    """A run in the list: what is asked of it is read when it is asked."""

    entry: Entry
    _path: str
    _index: Index

    @property
    def folder(self) -> RunFolder:
        """Where it is; most of a long list are never asked."""
        return RunFolder(Path(self._path))

    @property
    def status(self) -> Status:
        """How the run stands now."""
        return present_status(self.entry.written, self.entry.session)

    @property
    def tags(self) -> Tags:
        """Its tags."""
        if self.entry.tags is None:
            self.entry.tags = self._index.learned(partial(read_tags, self.folder), {})
        return self.entry.tags

    @property
    def params(self) -> dict[str, Any]:
        """What was set for it, by names with dots."""
        if self.entry.params is None:
            self.entry.params = self._index.learned(partial(settings, self.folder), {})
        return self.entry.params

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric, as far as the run has come."""
        if self.entry.metrics is None:
            self.entry.metrics = self._index.learned(partial(_last_metrics, self.folder), {})
        return self.entry.metrics

    @property
    def means(self) -> dict[str, float]:
        """The metrics, each once, of a run with folds or seeds inside; nothing of any other."""
        if self.entry.means is None:
            self.entry.means = self._index.learned(partial(_means, self.folder), {})
        return self.entry.means

    def value(self, name: str) -> Any:
        """What a name of a condition means: a fact, or an entry of params, metrics or tags; `ABSENT` without it."""
        kind, divided, rest = name.partition(".")
        if not divided:
            return self._fact(name)
        if kind == "tags":
            return self.tags.get(rest, ABSENT)
        values: dict[str, Any] = self.params if kind == "params" else self.metrics
        found = resolve(values, rest)
        return ABSENT if found is None else values[found]

    def _fact(self, name: str) -> Any:
        entry = self.entry
        match name:
            case "run":
                return entry.run_id
            case "status":
                return self.status
            case "host":
                return entry.session.host
            case "started":
                return entry.created_at
            case "ended":
                return entry.session.ended_at or ABSENT
            case "plan":
                return entry.plan_id
            case "folder":
                return str(self.folder.path)
        return getattr(entry, name)


class Index:
    """The runs below a root, those that go on included.

    Args:
        root: folder of all runs.
        before: an index of the same root, in place of the file.

    Attributes:
        found: what is known of each run by its key; more is added to it when somebody asks.
        faults: why runs, and folders of runs, could not be read; they are left out, or what was asked of them is.
    """

    def __init__(self, root: Path, before: Index | None = None) -> None:
        self._root = root
        self._file = index_file(root)
        self._known = self._read() if before is None else _lasting(before.found)
        self.found: dict[str, Entry] = {}
        self._learned = 0
        self.faults: list[RunError | StoreError] = []

    def runs(self, chosen: Callable[[Found], bool]) -> Iterator[Listed]:
        """Experiments by name, runs oldest first; only those that are chosen are read."""
        for found in walk(self._root, self.faults.append):
            entry = self._known.get(found.key)
            if entry is not None and entry.stamp != found.stamp:
                entry = None
            if not chosen(found):
                if entry is not None:
                    self.found[found.key] = entry
                continue
            if entry is None:
                entry = self.learned(partial(_entry, found), None)
            if entry is not None:
                self.found[found.key] = entry
                yield Listed(entry, found.path, self)

    def learned(self, read: Callable[[], Any], otherwise: Any) -> Any:
        """What `read` gives, which was not known; `otherwise` where it finds damage."""
        self._learned += 1
        try:
            return read()
        except (RunError, StoreError) as error:
            self.faults.append(error)
        except OSError as error:  # a file that nobody may read
            self.faults.append(RunError(f"{error.filename} cannot be read: {error.strerror}"))
        return otherwise

    def save(self) -> None:
        """Keep what was found out, if it is worth it, for the next one who asks."""
        forgotten = len(self._known.keys() - self.found.keys())
        if self._learned + forgotten < WORTH_WRITING:
            return
        from specplan.base.files import write_atomically

        settled = time.time_ns() - SETTLED_NS
        kept = {
            key: entry
            for key, entry in _lasting(self.found).items()
            if max(entry.stamp[2], entry.stamp[4]) < settled
        }
        content = msgspec.msgpack.encode(_File(FORMAT, kept))
        try:
            write_atomically(self._file, zlib.crc32(content).to_bytes(4, "little") + content)
        except OSError:
            return  # a root that nobody may write, or a full disk: next time it is found out again

    def _read(self) -> dict[str, Entry]:
        try:
            if not self._file.is_file():
                return {}
            content = self._file.read_bytes()
            if int.from_bytes(content[:4], "little") != zlib.crc32(memoryview(content)[4:]):
                return {}
            read = msgspec.msgpack.decode(memoryview(content)[4:], type=_File)
        except (OSError, ValueError, RecursionError):
            return {}  # as if there were none, see above
        return read.entries if read.format == FORMAT else {}


def _lasting(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """What stays true of runs: of one that goes on, not its metrics."""
    return {
        key: msgspec.structs.replace(entry, metrics=None, means=None)
        if present_status(entry.written, entry.session).is_unfinished
        else entry
        for key, entry in dict(entries).items()
    }


def _entry(found: Found) -> Entry:
    run_file = read_run_file(RunFolder(Path(found.path)))
    return Entry(
        stamp=found.stamp,
        experiment=found.experiment,
        run_id=run_file.run_id,
        version=run_file.version,
        written=run_file.status,
        session=run_file.sessions[-1],
        created_at=run_file.created_at,
        plan_id=run_file.plan_id,
    )


def _last_metrics(folder: RunFolder) -> dict[str, float]:
    from specplan.results.comparison import metrics_of
    from specplan.results.open import Run

    return metrics_of(Run(folder))


def _means(folder: RunFolder) -> dict[str, float]:
    from specplan.results.comparison import means_of
    from specplan.results.open import Run

    return means_of(Run(folder))
