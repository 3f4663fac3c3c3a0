"""Offline runs of Weights & Biases."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.errors import RunError
from specplan.exchange.written import dated_name, files_below
from specplan.store.run_file import Status
from specplan.track.point import Point, Series
from specplan.track.portable import Portable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32768
_RECORD = struct.Struct("<IHB")
_FULL, _LAST = 1, 4
_SECOND = 1_000_000_000


def runs_of_wandb(place: str) -> Iterator[Portable]:
    """The run of a folder `offline-run-…` or of a file *.wandb, or all those below a folder.

    Raises:
        RunError: there is none, one is damaged, or the package wandb is not installed.
    """
    path = Path(place)
    files = [path] if path.is_file() else sorted(path.glob("*.wandb"))
    files = (
        files or sorted(path.glob("*run-*/*.wandb")) or sorted(path.glob("wandb/*run-*/*.wandb"))
    )
    if not files:
        raise RunError(f"no file *.wandb in `{path}`, nor in folders `offline-run-…` of it")
    for file in files:
        yield _Reading(file).run()


class _Reading:
    """What the records of one file say of a run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._about: Any = None
        self._config: dict[str, Any] = {}
        self._series: dict[Series, list[Point]] = {}
        self._others: set[str] = set()
        self._exit: int | None = None
        self._last: int | None = None

    def run(self) -> Portable:
        for record in _records(self._file):
            try:
                self._take(record)
            except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
                raise RunError(f"{self._file} is damaged: {error}") from error
        about = self._about
        if about is None:
            raise RunError(f"{self._file} does not say which run it is of")
        files, remarks = files_below(self._file.parent / "files")
        started = about.start_time.seconds * _SECOND + about.start_time.nanos
        others = [f"`{name}` holds no numbers" for name in sorted(self._others)]
        tags: dict[str, str | None] = dict.fromkeys(about.tags)
        return Portable(
            experiment=about.project or "uncategorized",
            name=dated_name(started, about.run_id),
            status=_status(self._exit),
            started_at=started,
            ended_at=self._last or started,
            description=about.notes or about.display_name,
            params={name: value for name, value in self._config.items() if name != "_wandb"},
            tags=tags,
            series=self._series,
            files=tuple(files),
            remarks=(*others, *remarks),
        )

    def _take(self, record: Any) -> None:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self._about = record.run
            self._configure(record.run.config)
        elif kind == "config":
            self._configure(record.config)
        elif kind == "history":
            self._add({_name(item): item.value_json for item in record.history.item})
        elif kind == "exit":
            self._exit = record.exit.exit_code

    def _configure(self, config: Any) -> None:
        for item in config.update:
            *parts, last = item.nested_key or [item.key]
            inside = self._config
            for part in parts:
                inside = inside.setdefault(part, {})
            inside[last] = json.loads(item.value_json)
        for item in config.remove:
            self._config.pop(item.key, None)

    def _add(self, row: dict[str, str]) -> None:
        values = {name: json.loads(text) for name, text in row.items()}
        step, stamp = int(values.pop("_step", 0)), values.pop("_timestamp", None)
        time = None if stamp is None else round(stamp * 1_000_000) * 1000
        self._last = time or self._last
        values.pop("_runtime", None)
        for name, value in values.items():
            if isinstance(value, int | float):
                point = Point(value=float(value), step=step, time=time)
                self._series.setdefault(Series(name=name), []).append(point)
            else:
                self._others.add(name)


def _name(item: Any) -> str:
    return ".".join(item.nested_key) or str(item.key)


def _status(exit_code: int | None) -> Status:
    if exit_code is None:
        return Status.INTERRUPTED
    return Status.FAILED if exit_code else Status.COMPLETED


def _records(file: Path) -> Iterator[Any]:
    """The records that are whole. The last one of a run that was killed may be cut."""
    try:
        from wandb.proto.wandb_internal_pb2 import Record
    except ImportError as error:
        raise RunError(
            "this needs the package `wandb`\nhint: pip install 'specplan[wandb]'"
        ) from error
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    content = file.read_bytes()
    if not content.startswith(_HEADER):
        raise RunError(f"{file} is no file of W&B")
    for parts in _framed(file, content):
        try:
            yield Record.FromString(b"".join(parts))
        except DecodeError as error:
            raise RunError(f"{file} is damaged: {error}") from error


def _framed(file: Path, content: bytes) -> Iterator[Sequence[bytes]]:
    """The pieces of each record: blocks of 32 KiB hold them as a log of LevelDB does."""
    at, parts = len(_HEADER), []
    while True:
        left = _BLOCK - at % _BLOCK
        at += left if left < _RECORD.size else 0
        if at + _RECORD.size > len(content):
            return
        checksum, length, kind = _RECORD.unpack_from(content, at)
        piece = content[at + _RECORD.size : at + _RECORD.size + length]
        if len(piece) < length:
            return
        if zlib.crc32(piece, zlib.crc32(bytes([kind]))) != checksum:
            raise RunError(f"{file}:{at}: it is damaged: a record does not match its checksum")
        at += _RECORD.size + length
        parts.append(piece)
        if kind in (_FULL, _LAST):
            yield parts
            parts = []
