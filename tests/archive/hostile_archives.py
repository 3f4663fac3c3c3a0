"""Archives that a stranger could send, as data: the bytes of each, and what is said of it."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from blake3 import blake3

from specplan.archive.zip_layout import Entry, directory_record, ending, local_header

Contents = Sequence[tuple[str, bytes]]


class Hostile(NamedTuple):
    """An archive that is refused when it is opened."""

    name: str
    content: Callable[[], bytes]
    said: str


def manifest(contents: Contents, **changes: object) -> bytes:
    digests = {name: blake3(content).hexdigest() for name, content in contents}
    return json.dumps(
        {"specplan": "archive", "kind": "fs", "version": 1, "digests": digests, **changes}
    ).encode()


def packed(contents: Contents) -> bytes:
    """Bytes of a zip file in the one form, whatever the names are."""
    entries, body = _entries(contents)
    return _closed(entries, body)


def archive(*contents: tuple[str, bytes], **changes: object) -> bytes:
    """An archive as this program would write it, if it wrote such names and such a manifest."""
    return packed([*contents, ("manifest.json", manifest(contents, **changes))])


def with_manifest(text: bytes) -> bytes:
    return packed([("a", b"1"), ("manifest.json", text)])


def _entries(contents: Contents) -> tuple[list[Entry], bytes]:
    entries: list[Entry] = []
    body = bytearray()
    for name, content in contents:
        entry = Entry(name, len(content), zlib.crc32(content), len(body))
        entries.append(entry)
        body += local_header(entry) + content
    return entries, bytes(body)


def _closed(entries: Sequence[Entry], body: bytes) -> bytes:
    directory = b"".join(map(directory_record, entries))
    return body + directory + ending(len(entries), len(directory), len(body))


GOOD = archive(("a.json", b"[1]"), ("b.json", b"[2, 3]"))
_NAME = GOOD.index(b"a.json")
_DIRECTORY = GOOD.index(b"PK\x01\x02")
_END = len(GOOD) - 98


def patched(place: int, form: str, value: object) -> bytes:
    """The good archive with a field of its bytes replaced."""
    content = bytearray(GOOD)
    struct.pack_into(form, content, place, value)
    return bytes(content)


def _overlapping() -> bytes:
    entries, body = _entries([("a", b"1"), ("b", b"2")])
    return _closed([entries[0], Entry("b", 1, entries[1].checksum, entries[0].offset)], body)


def _all_in_one_place() -> bytes:
    """The entries of a bomb lie within each other."""
    inner, body = _entries([("f0", bytes(1 << 16))])
    return _closed([Entry(f"f{n}", inner[0].size, inner[0].checksum, 0) for n in range(1000)], body)


def _with_gap() -> bytes:
    entries, body = _entries([("a", b"1")])
    return _closed(entries, body + b"hidden")


def _past_the_end() -> bytes:
    entry = Entry("a", 1 << 40, zlib.crc32(b"1"), 0)
    return _closed([entry], local_header(entry) + b"1")


def _not_utf8() -> bytes:
    return GOOD.replace(b"a.json", b"\xff.json")


def _many() -> bytes:
    return packed([(f"f{n}", b"") for n in range(100_000)])


def _zipped(method: int, *, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as written:
        written.writestr("zeros", bytes(50_000_000))
        written.comment = comment
    return file.getvalue()


def _streamed() -> bytes:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

    file = Unseekable()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("a", b"1")
    return file.getvalue()


NAMES = {
    "parent": "..",
    "file of the parent": "../escaped",
    "parent within": "a/../../escaped",
    "parent at the end": "a/..",
    "absolute": "/escaped",
    "share": "//server/share/escaped",
    "drive": "C:/escaped",
    "relative to a drive": "C:escaped",
    "drive with a backslash": "c:\\escaped",
    "backslash": "a\\b",
    "parent with a backslash": "..\\escaped",
    "share with backslashes": "\\\\server\\share\\escaped",
    "NUL": "a\0b",
    "empty": "",
    "dot": ".",
    "empty part": "a//b",
    "dot within": "a/./b",
    "folder": "a/",
    "line break": "a\nb",
    "escape of a terminal": "a\x1b[2Jb",
    "text from right to left": "a\u202egnp.exe",
    "dot at the end": "a.",
    "blank at the end": "a /b",
    "long part": "a" * 201,
    "long": "/".join(["abcdefgh"] * 200),
}
TOGETHER = {
    "twice": ("a", "a"),
    "case": ("README", "readme"),
    "case of another script": ("straße", "STRASSE"),
    "composed and decomposed": ("caf\u00e9", "cafe\u0301"),
    "ligature": ("ﬁle", "file"),
    "file and folder": ("a", "a/b"),
    "folder of another case": ("A", "a/b"),
}

HOSTILE = [
    *(
        Hostile(f"name: {title}", lambda name=name: archive((name, b"1")), "cannot be the name")  # type: ignore[misc]
        for title, name in NAMES.items()
    ),
    *(
        Hostile(
            f"names: {title}",
            lambda names=names: packed([(name, b"1") for name in names]),  # type: ignore[misc]
            "is a file, and the folder of" if "folder" in title else "is there",
        )
        for title, names in TOGETHER.items()
    ),
    Hostile("no bytes", lambda: b"", "has 0 bytes, too few"),
    Hostile("a text", lambda: b"import os\n" * 50, "does not end as an archive"),
    Hostile("a pickle", lambda: b"\x80\x04cos\nsystem\n" * 50, "does not end as an archive"),
    Hostile("cut in the middle", lambda: GOOD[: len(GOOD) // 2], "does not end as an archive"),
    Hostile("cut by one byte", lambda: GOOD[:-1], "does not end as an archive"),
    Hostile("bytes behind", lambda: GOOD + b"x", "does not end as an archive"),
    Hostile("another archive behind", lambda: GOOD + GOOD, "does not fit the file"),
    Hostile("a program before", lambda: b"#!/bin/sh\n" + GOOD, "does not fit the file"),
    Hostile("plain zip", lambda: _zipped(zipfile.ZIP_STORED), "does not end as an archive"),
    Hostile("bomb", lambda: _zipped(zipfile.ZIP_DEFLATED), "does not end as an archive"),
    Hostile("comment", lambda: _zipped(0, comment=b"c" * 99), "does not end as an archive"),
    Hostile("sizes behind the bytes", _streamed, "does not end as an archive"),
    Hostile("overlapping", _overlapping, "entries lie one after the other"),
    Hostile("all in one place", _all_in_one_place, "entries lie one after the other"),
    Hostile("bytes of no entry", _with_gap, "belong to no entry"),
    Hostile("past the end", _past_the_end, "ends behind the directory"),
    Hostile("name that is no text", _not_utf8, "is not UTF-8"),
    Hostile("100,000 entries", _many, "said to have 100000 entries"),
    Hostile("other name in the header", lambda: patched(_NAME, "B", 98), "wherever they stand"),
    Hostile(
        "other size in the header", lambda: patched(_NAME + 10, "<Q", 2), "wherever they stand"
    ),
    Hostile("checksum", lambda: patched(14, "<I", 0), "its checksum is 0"),
    Hostile("short size in the header", lambda: patched(22, "<I", 3), "its size is 3"),
    Hostile("signature", lambda: patched(0, "4s", b"PK\x05\x06"), "its signature is"),
    Hostile("encrypted", lambda: patched(_DIRECTORY + 8, "<H", 1), "its flags is 1"),
    Hostile("header encrypted", lambda: patched(6, "<H", 2049), "its flags is 2049"),
    Hostile("deflated", lambda: patched(_DIRECTORY + 10, "<H", 8), "its method is 8"),
    Hostile("header deflated", lambda: patched(8, "<H", 8), "its method is 8"),
    Hostile("symlink", lambda: patched(_DIRECTORY + 38, "<I", 0o120777 << 16), "its mode is"),
    Hostile("device", lambda: patched(_DIRECTORY + 38, "<I", 0o060666 << 16), "its mode is"),
    Hostile("pipe", lambda: patched(_DIRECTORY + 38, "<I", 0o010666 << 16), "its mode is"),
    Hostile("runs", lambda: patched(_DIRECTORY + 38, "<I", 0o104755 << 16), "its mode is"),
    Hostile("comment of an entry", lambda: patched(_DIRECTORY + 32, "<H", 5), "comment is 5"),
    Hostile("extra field", lambda: patched(_DIRECTORY + 30, "<H", 4), "is not whole"),
    Hostile("stored size", lambda: patched(_DIRECTORY + 60, "<Q", 1), "wherever they stand"),
    Hostile("size of 64 bits", lambda: patched(_DIRECTORY + 56, "<Q", 1 << 62), "wherever"),
    Hostile(
        "offset of 64 bits", lambda: patched(_DIRECTORY + 72, "<Q", 1 << 62), "one after the other"
    ),
    Hostile("many in the end", lambda: patched(_END + 32, "<Q", 1 << 40), "at most 65535"),
    Hostile("fewer in the end", lambda: patched(_END + 32, "<Q", 2), "does not fit the file"),
    Hostile("size of the directory", lambda: patched(_END + 40, "<Q", 1 << 62), "does not fit"),
    Hostile("place of the directory", lambda: patched(_END + 48, "<Q", 0), "does not fit"),
    Hostile("place of the end", lambda: patched(_END + 64, "<Q", 0), "does not fit"),
    Hostile("several disks", lambda: patched(_END + 16, "<I", 1), "does not fit"),
    Hostile("no manifest", lambda: packed([("a", b"1")]), "has no `manifest.json`"),
    Hostile("manifest is no JSON", lambda: with_manifest(b"{"), "is none of an archive"),
    Hostile("deep manifest", lambda: with_manifest(b"[" * 10**6), "is none of an archive"),
    Hostile("manifest is a list", lambda: with_manifest(b"[]"), "is none of an archive"),
    Hostile("manifest is a pickle", lambda: with_manifest(b"\x80\x04."), "is none of an archive"),
    Hostile(
        "more in the manifest", lambda: archive(("a", b"1"), code="x"), "is none of an archive"
    ),
    Hostile("another manifest", lambda: archive(specplan="plan"), "is none of an archive"),
    Hostile("kind that is none", lambda: archive(kind="so"), "is none of an archive"),
    Hostile("version as text", lambda: archive(version="1"), "is none of an archive"),
    Hostile("version 0", lambda: archive(version=0), "there is no version 0"),
    Hostile("newer", lambda: archive(version=2), "it is of version 2, this program reads 1"),
    Hostile("another kind", lambda: archive(kind="ckpt"), "it is a checkpoint, not a FeatureSet"),
    Hostile("entry without a digest", lambda: archive(("a", b"1"), digests={}), "differ in `a`"),
    Hostile("digest without an entry", lambda: archive(digests={"a": ""}), "differ in `a`"),
    Hostile(
        "changed manifest",
        lambda: GOOD.replace(b'"version": 1', b'"version": 3'),
        "is not what its checksum says",
    ),
]
