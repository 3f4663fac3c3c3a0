"""JSON files whose last key is their checksum (docs/format.md): run.json and environment.json."""

from __future__ import annotations

import re
import zlib

import msgspec

_LAST_KEY = re.compile(rb'\s*"crc32"\s*:\s*(\d{1,10})\s*\}\s*')


def encode_checked(value: object) -> bytes:
    """An object with at least one key as indented JSON, and after its keys the checksum of all bytes before."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).removesuffix(b"\n}")
    return text + b',\n  "crc32": %d\n}\n' % zlib.crc32(text)


def matches_checksum(content: bytes) -> bool:
    """Whether a file has a checksum, and is as it was written."""
    checked, _, last = content.rpartition(b",")
    found = _LAST_KEY.fullmatch(last)
    return found is not None and int(found[1]) == zlib.crc32(checked)
