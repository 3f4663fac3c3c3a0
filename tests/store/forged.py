"""Changing the files of a store so that their checksums still hold."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from tests.store.reference_reader import Chunk, Table

if TYPE_CHECKING:
    from pathlib import Path

SUPERBLOCK = {
    "format": (8, "<I"),
    "flags": (12, "<I"),
    "capacity": (16, "<Q"),
    "first_row": (24, "<Q"),
    "rows": (32, "<Q"),
    "last_sequence": (40, "<Q"),
    "compatible": (48, "<I"),
    "read_compatible": (52, "<I"),
    "incompatible": (56, "<I"),
}
WATERMARK = {
    "count": (12, "<I"),
    "format": (16, "<I"),
    "flags": (20, "<I"),
    "sequence": (24, "<Q"),
    "durable": (32, "<Q"),
    "session": (48, "<I"),
    "dropped": (56, "<Q"),
}


def forge_superblock(path: Path, **fields: int) -> None:
    """Set fields of the superblock."""
    with path.open("r+b") as file:
        start = record_offset(path) - 64
        file.seek(start)
        block = bytearray(file.read(64))
        for name, value in fields.items():
            offset, kind = SUPERBLOCK[name]
            struct.pack_into(kind, block, offset, value)
        struct.pack_into("<I", block, 60, zlib.crc32(block[:60]))
        file.seek(start)
        file.write(block)


def forge_watermark(path: Path, hidden: bytes = b"", **fields: int) -> None:
    """Set fields of the watermark, and what stands behind its head."""
    block = bytearray(path.read_bytes()[:64] + hidden)
    block[12:16] = bytes([min(len(hidden) // 16, 255)]) * 4
    for name, value in fields.items():
        offset, kind = WATERMARK[name]
        struct.pack_into(kind, block, offset, value)
    check = struct.pack("<I", zlib.crc32(block[12:]))
    block[8:12] = check
    path.write_bytes((block + check).ljust(4096, b"\0") * 2)


def forge_description(path: Path, old: bytes, new: bytes) -> None:
    """Replace a piece of a JSON file, and its checksum."""
    data = path.read_bytes()
    assert data.count(old) >= 1, old
    data = data.replace(old, new, 1)
    end = data.rindex(b",", 0, data.rindex(b'"crc32"'))
    check = zlib.crc32(data[:end])
    path.write_bytes(data[:end] + b',\n  "crc32": ' + str(check).encode() + b"\n}\n")


def forge_word(path: Path, offset: int, value: int, kind: str = "<q") -> None:
    """Set one number of a file that no checksum covers."""
    low, high = (0, 1 << 64) if kind == "<Q" else (-(1 << 63), 1 << 63)
    assert low <= value < high
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(struct.pack(kind, value))


def record_offset(path: Path) -> int:
    """Where the message of the record batch starts."""
    with path.open("rb") as file:
        (size,) = struct.unpack_from("<I", file.read(16), 12)
    return 16 + int(size)


def message_places(path: Path) -> dict[str, int]:
    """Where the numbers of the record batch's message stand in the file."""
    chunk = Chunk(path)
    start = record_offset(path) + 8
    message = Table.root(bytes(chunk.data[start : chunk.body]))
    batch = message.table(2)
    places = {
        "body": message.place(3),
        "length": batch.place(0),
        "nodes": batch.target(1),
        "buffers": batch.target(2),
    }
    return {name: start + place for name, place in places.items() if place is not None}
