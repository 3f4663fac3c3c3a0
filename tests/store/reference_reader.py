"""A second reader of stores, written from docs/format.md alone.

It shares no code with the package and knows no Arrow library, so that both can be compared with
each other and with the page. It reads whole files and is slow.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
CLOSED = 1
MOST_RANGES = 251
LONGEST_NAME = 200
INLINE_BYTES = 12
INDEX_COLUMNS = ("sequence", "row_start", "time", "rows", "epoch", "batch", "crc32")
LABELS = ("phase", "split", "node", "name")

# Numbers of types in Arrow's Schema.fbs.
INT, FLOATING_POINT, UTF8, TIMESTAMP = 2, 3, 5, 10
LIST, STRUCT, FIXED_SIZE_LIST, DURATION, UTF8_VIEW = 12, 13, 16, 18, 24


class DamagedError(Exception):
    """A file is not what the page says."""


def require(holds: object, path: Path, offset: int, reason: str) -> None:
    if not holds:
        raise DamagedError(f"{path} at byte {offset}: {reason}")


@dataclass
class Batch:
    sequence: int
    epoch: int
    batch: int
    rows: int
    time: int
    payload: bytes
    """What the checksum covers."""


@dataclass
class Channel:
    description: dict[str, Any]
    batches: list[Batch] = field(default_factory=list)


@dataclass
class Metric:
    sequence: int
    step: int
    time: int
    epoch: int
    batch: int
    labels: tuple[str, str, str, str]
    value: float


@dataclass
class Watermark:
    sequence: int
    durable: int
    closed: bool
    session: int
    dropped: int
    hidden: list[tuple[int, int]]

    def age(self) -> tuple[int, int, bool, int, int]:
        """What tells the newer of two."""
        return self.session, self.sequence, self.closed, self.durable, self.dropped

    def shows(self, sequence: int) -> bool:
        hidden = any(after < sequence <= through for after, through in self.hidden)
        return sequence <= self.sequence and not hidden


@dataclass
class Records:
    watermark: Watermark
    description: dict[str, Any]
    channels: list[Channel]
    metrics: list[Metric]


def read_records(folder: Path) -> Records:
    watermark = read_watermark(folder / "watermark")
    description = read_description(folder / "store.json")
    sessions = [session["session"] for session in description["sessions"]]
    require(watermark.session in sessions, folder / "store.json", 0, "lacks the writer's session")
    found = [read_channel(path.parent, watermark) for path in folder.glob("*/channel.json")]
    found.sort(key=lambda channel: int(channel.description["order"]))
    metrics = [
        metric
        for chunk in chunks(folder / "metrics", "chunk")
        for metric in read_metrics(chunk)
        if watermark.shows(metric.sequence)
    ]
    records = Records(watermark, description, found, metrics)
    check_complete(records, folder / "watermark")
    return records


def check_complete(records: Records, path: Path) -> None:
    """Every number belongs to exactly one record or to a hidden range."""
    seen = [batch.sequence for channel in records.channels for batch in channel.batches]
    seen += sorted({metric.sequence for metric in records.metrics})
    watermark = records.watermark
    shown = [number for number in range(1, watermark.sequence + 1) if watermark.shows(number)]
    require(sorted(seen) == shown, path, 16, "the records are not those that it promises")


def read_watermark(path: Path) -> Watermark:
    data = path.read_bytes()
    slots = [read_slot(path, data[start : start + 4096], start) for start in (0, 4096)]
    good = [slot for slot in slots if slot is not None]
    require(good, path, 0, "both slots were cut")
    return max(good, key=Watermark.age)


def read_slot(path: Path, data: bytes, start: int) -> Watermark | None:
    """One of the two watermarks; None where the write of it was cut."""
    require(len(data) >= 68, path, start + len(data), "too short")
    require(data[:8] == b"SPECMARK", path, start, "no magic")
    require(data[12:16] == data[12:13] * 4, path, start + 12, "the count is damaged")
    end = 64 + 16 * data[12]
    require(data[12] <= MOST_RANGES and len(data) >= end + 4, path, start + 12, "too many ranges")
    checks = struct.unpack_from("<I", data, 8) + struct.unpack_from("<I", data, end)
    if zlib.crc32(data[12:end]) not in checks:
        require(checks[0] != checks[1], path, start, "wrong checksum")
        return None
    version, flags, sequence, durable = struct.unpack_from("<IIQQ", data, 16)
    require(version <= FORMAT, path, start + 16, f"format {version} is newer")
    session, zero, dropped = struct.unpack_from("<IIQ", data, 48)
    require(zero == 0, path, start + 52, "not zero")
    hidden = list(struct.iter_unpack("<QQ", data[64:end]))
    flat = [number for pair in hidden for number in pair]
    require(flat == sorted(set(flat)), path, start + 64, "the hidden ranges are not in order")
    most = max([durable, *flat])
    require(most <= sequence, path, start + 24, "more is durable or hidden than there is")
    return Watermark(sequence, durable, bool(flags & CLOSED), session, dropped, hidden)


def read_description(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    description: dict[str, Any] = json.loads(data)
    require(description["format"] <= FORMAT, path, 0, "a newer format")
    end = data.rindex(b",", 0, data.rindex(b'"crc32"'))
    require(zlib.crc32(data[:end]) == description["crc32"], path, end, "wrong checksum")
    return description


def read_channel(folder: Path, watermark: Watermark) -> Channel:
    description = read_description(folder / "channel.json")
    require(folder_name(description) == folder.name, folder / "channel.json", 0, "other labels")
    channel = Channel(description)
    data = list(chunks(folder, "chunk"))
    first_rows = [chunk.first_row for chunk in data]
    for index in chunks(folder, "index"):
        for row in range(index.rows):
            entry = {name: index.columns[name].number(row) for name in INDEX_COLUMNS}
            if not watermark.shows(entry["sequence"]):
                continue
            words = struct.pack("<Qqqiii", *(entry[name] for name in INDEX_COLUMNS[:-1]))
            words += struct.pack("<I", entry["crc32"])
            check = index.columns["check"].number(row)
            require(zlib.crc32(words) == check, index.path, row, "wrong checksum of a row")
            place = bisect_right(first_rows, entry["row_start"]) - 1
            channel.batches.append(read_batch(description, data[place], entry))
    return channel


def read_batch(description: dict[str, Any], chunk: Chunk, entry: dict[str, int]) -> Batch:
    first, rows = entry["row_start"] - chunk.first_row, entry["rows"]
    require(first + rows <= chunk.rows, chunk.path, first, "the batch ends behind the rows")
    keys = range(first, first + rows)
    for name in ("epoch", "batch"):
        column = chunk.columns[name]
        equal = all(column.number(row) == entry[name] for row in keys)
        require(equal, chunk.path, column.data[0], f"`{name}` is not that of the index")
    column = chunk.columns[description["field"]]
    payload = column.payload(first, rows)
    reason = "a batch does not match its checksum"
    require(zlib.crc32(payload) == entry["crc32"], chunk.path, column.data[0], reason)
    return Batch(entry["sequence"], entry["epoch"], entry["batch"], rows, entry["time"], payload)


def read_metrics(chunk: Chunk) -> Iterator[Metric]:
    columns = chunk.columns
    for row in range(chunk.rows):
        phase, split, node, name = (columns[label].text(row) for label in LABELS)
        check = 0
        for label in (phase, split, node, name):
            check = zlib.crc32(struct.pack("<I", len(label)) + label, check)
        (value,) = struct.unpack("<d", columns["value"].payload(row, 1))
        step, time, epoch, batch, sequence, wanted = (
            columns[name].number(row)
            for name in ("step", "time", "epoch", "batch", "sequence", "crc32")
        )
        numbers = struct.pack("<qqiidQ", step, time, epoch, batch, value, sequence)
        offset = columns["value"].data[0] + 8 * row
        require(zlib.crc32(numbers, check) == wanted, chunk.path, offset, "wrong checksum")
        labels = (phase.decode(), split.decode(), node.decode(), name.decode())
        yield Metric(sequence, step, time, epoch, batch, labels, value)


def folder_name(description: dict[str, Any]) -> str:
    labels = [description[label] for label in ("phase", "node", "role", "field")]
    name = ".".join(encode(label) for label in labels)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 33]}-{blake3(name.encode()).hexdigest()[:32]}"


def encode(label: str) -> str:
    usual = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    return "".join(chr(byte) if byte in usual else f"%{byte:02X}" for byte in label.encode())


def chunks(folder: Path, kind: str) -> Iterator[Chunk]:
    rows = 0
    for number, path in enumerate(sorted(folder.glob(f"{kind}-*.arrow"))):
        chunk = Chunk(path)
        require(path.name == f"{kind}-{number:06}.arrow", path, 0, "a file before it is missing")
        require(chunk.first_row == rows, path, 0, "does not follow the file before it")
        rows += chunk.rows
        yield chunk


class Chunk:
    """One `.arrow` file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        data = self.data
        require(data[:8] == b"ARROW1\0\0", path, 0, "no magic")
        schema, record_offset = self._message(8)
        superblock = data[record_offset - 64 : record_offset]
        require(superblock[:8] == b"SPECPLAN", path, record_offset - 64, "no superblock")
        wanted = struct.unpack_from("<I", superblock, 60)[0]
        require(zlib.crc32(superblock[:60]) == wanted, path, record_offset - 4, "wrong checksum")
        version, self.flags, self.capacity = struct.unpack_from("<IIQ", superblock, 8)
        self.first_row, self.rows, self.last_sequence = struct.unpack_from("<QQQ", superblock, 24)
        _, _, incompatible = struct.unpack_from("<III", superblock, 48)
        require(version <= FORMAT, path, record_offset - 56, f"format {version} is newer")
        require(incompatible == 0, path, record_offset - 8, f"unknown features {incompatible:b}")
        require(self.rows <= self.capacity, path, record_offset - 32, "too many rows")

        record, self.body = self._message(record_offset)
        batch = record.table(2)
        require(batch.number(0, "q") == self.rows, path, record_offset, "another number of rows")
        body_bytes = record.number(3, "q")
        self._check_ending(record_offset, body_bytes)
        nodes = iter(batch.structs(1, "qq"))
        buffers = iter(batch.structs(2, "qq"))
        texts = iter(batch.structs(4, "q"))
        self.columns = {
            table.text(0): Column(self, table, nodes, buffers, texts)
            for table in schema.table(2).tables(1)
        }

    def _message(self, offset: int) -> tuple[Table, int]:
        marker, size = struct.unpack_from("<II", self.data, offset)
        require(marker == 0xFFFFFFFF, self.path, offset, "no message")
        end = offset + 8 + size
        return Table.root(self.data[offset + 8 : end]), end

    def _check_ending(self, record_offset: int, body_bytes: int) -> None:
        data, end = self.data, self.body + body_bytes
        require(data[end : end + 8] == b"\xff\xff\xff\xff\0\0\0\0", self.path, end, "no end")
        (size,) = struct.unpack_from("<i", data, len(data) - 10)
        require(data[-6:] == b"ARROW1", self.path, len(data) - 6, "no magic at the end")
        footer = Table.root(data[end + 8 : end + 8 + size])
        require(end + 8 + size + 10 == len(data), self.path, end, "a footer of another size")
        (block,) = footer.structs(3, "qiiq")
        wanted = (record_offset, self.body - record_offset, body_bytes)
        require((block[0], block[1], block[3]) == wanted, self.path, end, "another block")


class Column:
    """One column, and those inside it."""

    def __init__(
        self,
        chunk: Chunk,
        table: Table,
        nodes: Iterator[tuple[int, ...]],
        buffers: Iterator[tuple[int, ...]],
        texts: Iterator[tuple[int, ...]],
    ) -> None:
        self.chunk = chunk
        self.kind = table.number(2, "B")
        details = table.table(3)
        next(nodes)
        _, validity = next(buffers)
        require(validity == 0, chunk.path, chunk.body, "a column has nulls")
        self.data = (chunk.body, 0)
        self.format = ""
        if self.kind == INT:
            size = {8: "b", 16: "h", 32: "i", 64: "q"}[details.number(0, "i")]
            self.format = size if details.number(1, "?") else size.upper()
        elif self.kind == FLOATING_POINT:
            self.format = "efd"[details.number(0, "h")]
        elif self.kind in (TIMESTAMP, DURATION):
            self.format = "q"
        self.length = details.number(0, "i") if self.kind == FIXED_SIZE_LIST else 1
        if self.kind not in (STRUCT, FIXED_SIZE_LIST):
            self.data = self._place(next(buffers))
        self.text_data = self.data
        if self.kind == UTF8:
            self.text_data = self._place(next(buffers))
        elif self.kind == UTF8_VIEW:
            (count,) = next(texts)
            require(count == 1, chunk.path, chunk.body, "several text regions")
            self.text_data = self._place(next(buffers))
        children = [Column(chunk, child, nodes, buffers, texts) for child in table.tables(5)]
        self.children = children
        if self.kind == FIXED_SIZE_LIST:
            self.format = children[0].format
            self.data = children[0].data

    def _place(self, buffer: tuple[int, ...]) -> tuple[int, int]:
        offset, length = buffer
        start = self.chunk.body + offset
        end = start + length
        require(offset % 64 == 0 and end <= len(self.chunk.data), self.chunk.path, start, "outside")
        return start, length

    def number(self, row: int) -> int:
        (number,) = struct.unpack("<" + self.format, self.payload(row, 1))
        return int(number)

    def offset(self, row: int) -> int:
        """Where a row of a list or of a text starts."""
        return int(struct.unpack_from("<i", self.chunk.data, self.data[0] + 4 * row)[0])

    def text(self, row: int) -> bytes:
        view = self.chunk.data[self.data[0] + 16 * row : self.data[0] + 16 * row + 16]
        length, prefix, buffer, position = struct.unpack("<i4sii", view)
        if length <= INLINE_BYTES:
            require(not any(view[4 + length :]), self.chunk.path, self.data[0], "no padding")
            return view[4 : 4 + length]
        require(buffer == 0, self.chunk.path, self.data[0], "another text region")
        start = self.text_data[0] + position
        text = self.chunk.data[start : start + length]
        require(text[:4] == prefix, self.chunk.path, start, "another text than its view says")
        return text

    def payload(self, first: int, rows: int) -> bytes:
        """The bytes of some rows that their checksum covers."""
        data = self.chunk.data
        if self.kind == UTF8:
            offsets = [self.offset(row) for row in range(first, first + rows + 1)]
            pairs = pairwise(offsets)
            lengths = [end - start for start, end in pairs]
            start = self.text_data[0]
            text = data[start + offsets[0] : start + offsets[-1]]
            return struct.pack(f"<{rows}I", *lengths) + text
        if self.kind == STRUCT:
            values, shapes = self.children
            return shapes.payload(first, rows) + values.payload(first, rows)
        if self.kind == LIST:
            items = self.offset(first), self.offset(first + rows)
            return self.children[0].payload(items[0], items[1] - items[0])
        row_bytes = struct.calcsize("<" + self.format) * self.length
        start = self.data[0] + first * row_bytes
        return data[start : start + rows * row_bytes]


class Table:
    """A table of a flatbuffer."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

    @classmethod
    def root(cls, data: bytes) -> Table:
        return cls(data, struct.unpack_from("<I", data)[0])

    def place(self, number: int) -> int | None:
        """Where a field stands; None for its default."""
        vtable = self.position - struct.unpack_from("<i", self.data, self.position)[0]
        (size,) = struct.unpack_from("<H", self.data, vtable)
        slot = 4 + 2 * number
        if slot >= size:
            return None
        (offset,) = struct.unpack_from("<H", self.data, vtable + slot)
        return self.position + offset if offset else None

    def target(self, number: int) -> int | None:
        """Where a table, text or vector stands."""
        place = self.place(number)
        return place and place + struct.unpack_from("<I", self.data, place)[0]

    def number(self, number: int, kind: str) -> int:
        place = self.place(number)
        return 0 if place is None else int(struct.unpack_from("<" + kind, self.data, place)[0])

    def table(self, number: int) -> Table:
        target = self.target(number)
        assert target is not None, f"the table has no field {number}"
        return Table(self.data, target)

    def text(self, number: int) -> str:
        start = self.target(number)
        assert start is not None, f"the table has no field {number}"
        (length,) = struct.unpack_from("<I", self.data, start)
        return self.data[start + 4 : start + 4 + length].decode()

    def tables(self, number: int) -> list[Table]:
        start = self.target(number)
        if start is None:
            return []
        (length,) = struct.unpack_from("<I", self.data, start)
        places = [start + 4 + 4 * item for item in range(length)]
        return [Table(self.data, at + struct.unpack_from("<I", self.data, at)[0]) for at in places]

    def structs(self, number: int, kind: str) -> list[tuple[int, ...]]:
        start = self.target(number)
        if start is None:
            return []
        (length,) = struct.unpack_from("<I", self.data, start)
        size = struct.calcsize("<" + kind)
        return [
            struct.unpack_from("<" + kind, self.data, start + 4 + size * item)
            for item in range(length)
        ]
