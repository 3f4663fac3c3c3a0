"""The one form in which the zip files of this program lie (docs/archive.md): reading compares with what writing makes.

Entries are stored one after the other without a gap, each behind its header; after them come the directory
and the end, of fixed length. Nothing in a header is free but the name, the size and the checksum. So there are
no links, no encryption, no compressed bombs, no two entries in one place, and no two readings of one file.
"""

from __future__ import annotations

import os
import struct
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from specplan.archive.names import name_fault
from specplan.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_ENTRIES = 65_535
MOST_NAME_BYTES = 1024

_VERSION = 45  # the first with sizes of 64 bits
_MADE_BY = 3 << 8 | _VERSION  # on Unix, so that the mode below is one of files
_UTF8 = 1 << 11
_DATE = 1 << 5 | 1  # 1980-01-01
_MODE = 0o100644 << 16
_IN_EXTRA_16 = 0xFFFF
_IN_EXTRA = 0xFFFFFFFF

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_LOCAL_EXTRA = struct.Struct("<HHQQ")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_CENTRAL_EXTRA = struct.Struct("<HHQQQ")
_END = struct.Struct("<4sQHHIIQQQQ4sIQI4sHHHHIIH")

_LOCAL_FIELDS = (
    *("signature", "version", "flags", "method", "time", "date", "checksum"),
    *("stored size", "size", "length of the name", "length of the extra field"),
)
_CENTRAL_FIELDS = (
    *("signature", "version of the writer", "version", "flags", "method", "time", "date"),
    *("checksum", "stored size", "size", "length of the name", "length of the extra field"),
    *("length of the comment", "disk", "kind of text", "mode", "offset"),
)


class Entry(msgspec.Struct, frozen=True):
    """One file in a zip file: the checksum is the CRC-32 of its bytes, the offset that of its header."""

    name: str
    size: int
    checksum: int
    offset: int

    @property
    def start(self) -> int:
        """Where its bytes begin."""
        return self.offset + len(local_header(self))


def local_header(entry: Entry) -> bytes:
    """What stands before the bytes of an entry."""
    name = entry.name.encode()
    extra = _LOCAL_EXTRA.pack(1, 16, entry.size, entry.size)
    fixed = (_VERSION, _UTF8, 0, 0, _DATE, entry.checksum, _IN_EXTRA, _IN_EXTRA)
    return _LOCAL.pack(b"PK\x03\x04", *fixed, len(name), len(extra)) + name + extra


def directory_record(entry: Entry) -> bytes:
    """What the directory says of an entry."""
    name = entry.name.encode()
    extra = _CENTRAL_EXTRA.pack(1, 24, entry.size, entry.size, entry.offset)
    fixed = (_MADE_BY, _VERSION, _UTF8, 0, 0, _DATE, entry.checksum, _IN_EXTRA, _IN_EXTRA)
    rest = (len(name), len(extra), 0, 0, 0, _MODE, _IN_EXTRA)
    return _CENTRAL.pack(b"PK\x01\x02", *fixed, *rest) + name + extra


def ending(entries: int, size: int, offset: int) -> bytes:
    """What stands after a directory of `size` bytes at `offset`."""
    wide = (44, _MADE_BY, _VERSION, 0, 0, entries, entries, size, offset)
    locator = (b"PK\x06\x07", 0, offset + size, 1)
    short = (0, 0, _IN_EXTRA_16, _IN_EXTRA_16, _IN_EXTRA, _IN_EXTRA, 0)
    return _END.pack(b"PK\x06\x06", *wide, *locator, b"PK\x05\x06", *short)


def read_entries(descriptor: int) -> list[Entry]:
    """The entries of a zip file that is open, in the order in which they lie.

    Raises:
        ArchiveError: the file is not in this form.
    """
    length = os.fstat(descriptor).st_size
    start, size, count = _directory(descriptor, length)
    directory = os.pread(descriptor, size, start)
    entries: list[Entry] = []
    offset = 0
    for entry, record in _records(directory, count):
        if entry.offset != offset:
            raise ArchiveError(
                f"`{entry.name}` is said to begin at byte {entry.offset}, and the entry before it ends "
                f"at {offset}: entries lie one after the other"
            )
        _check_same(record, directory_record(entry), _CENTRAL, _CENTRAL_FIELDS, entry.name)
        if entry.start + entry.size > start:
            raise ArchiveError(f"`{entry.name}` ends behind the directory")
        expected = local_header(entry)
        _check_same(
            os.pread(descriptor, len(expected), offset), expected, _LOCAL, _LOCAL_FIELDS, entry.name
        )
        offset = entry.start + entry.size
        entries.append(entry)
    if offset != start:
        raise ArchiveError(f"bytes {offset} to {start} belong to no entry")
    check_names([entry.name for entry in entries])
    return entries


def check_names(names: Sequence[str]) -> None:
    """Raise ArchiveError for names that could leave a folder, or mean one file on some system."""
    taken: dict[str, str] = {}
    for name in names:
        if fault := _fault(name):
            raise ArchiveError(f"{name!r} cannot be the name of an entry: {fault}")
        if other := taken.get(_folded(name)):
            twice = (
                "twice" if other == name else f"beside {other!r}, which is the same file elsewhere"
            )
            raise ArchiveError(f"{name!r} is there {twice}")
        taken[_folded(name)] = name
    for name in names:
        folder = name
        while folder := folder.rpartition("/")[0]:
            if other := taken.get(_folded(folder)):
                raise ArchiveError(f"{other!r} is a file, and the folder of {name!r}")


def _fault(name: str) -> str | None:
    if fault := name_fault(name):
        return fault
    if len(name.encode()) > MOST_NAME_BYTES:
        return f"it is longer than {MOST_NAME_BYTES} bytes"
    if any(part.endswith((" ", ".")) for part in name.split("/")):
        return "some systems leave out a dot or blank at the end"
    return None


def _folded(name: str) -> str:
    """The same for names that a file system may take for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _directory(descriptor: int, length: int) -> tuple[int, int, int]:
    """Start, bytes and number of records of the directory."""
    tail = os.pread(descriptor, _END.size, max(0, length - _END.size))
    if len(tail) < _END.size:
        raise ArchiveError(f"it has {length} bytes, too few for an archive")
    fields = _END.unpack(tail)
    count, size, start = fields[7], fields[8], fields[9]
    if fields[0] != b"PK\x06\x06" or fields[14] != b"PK\x05\x06":
        raise ArchiveError("it does not end as an archive of this program does, or was cut")
    if count > MOST_ENTRIES:
        raise ArchiveError(f"it is said to have {count} entries; at most {MOST_ENTRIES} are read")
    if start + size + _END.size != length or tail != ending(count, size, start):
        raise ArchiveError("what its end says of the directory does not fit the file")
    most = count * (_CENTRAL.size + MOST_NAME_BYTES + _CENTRAL_EXTRA.size)
    if size > most:
        raise ArchiveError(
            f"its directory has {size} bytes for {count} entries, at most {most} are read"
        )
    return start, size, count


def _records(directory: bytes, count: int) -> Iterator[tuple[Entry, bytes]]:
    place = 0
    for number in range(count):
        fixed = directory[place : place + _CENTRAL.size]
        if len(fixed) < _CENTRAL.size:
            raise ArchiveError(f"its directory ends within record {number + 1} of {count}")
        fields = _CENTRAL.unpack(fixed)
        middle = place + _CENTRAL.size + fields[10]
        end = middle + fields[11] + fields[12]
        record = directory[place:end]
        if fields[11] != _CENTRAL_EXTRA.size or len(record) < end - place:
            raise ArchiveError(f"record {number + 1} of its directory is not whole")
        try:
            name = directory[place + _CENTRAL.size : middle].decode()
        except UnicodeDecodeError:
            raise ArchiveError(
                f"the name in record {number + 1} of its directory is not UTF-8"
            ) from None
        _, _, size, _, offset = _CENTRAL_EXTRA.unpack_from(directory, middle)
        yield Entry(name, size, fields[7], offset), record
        place = end
    if place != len(directory):
        raise ArchiveError(f"{len(directory) - place} bytes of its directory belong to no entry")


def _check_same(
    found: bytes, expected: bytes, layout: struct.Struct, fields: Sequence[str], name: str
) -> None:
    if found == expected:
        return
    if len(found) >= layout.size:
        pairs = zip(fields, layout.unpack_from(found), layout.unpack_from(expected), strict=True)
        for field, there, right in pairs:
            if there != right:
                raise ArchiveError(
                    f"`{name}`: its {field} is {there!r}, where only {right!r} is read"
                )
    raise ArchiveError(f"`{name}`: its name or its sizes are not the same wherever they stand")
