"""Names of files that stay in their folder on every system."""

from __future__ import annotations

from pathlib import PureWindowsPath

LONGEST_NAME = 200
"""Bytes of each part of a name. A file system takes 255; the number of a version may be added to it."""


def name_fault(name: str) -> str | None:
    """Why a name is no relative path inside a folder, or not a portable one; None where it is."""
    parts = name.split("/")
    if not name:
        return "it is empty"
    if any(part in ("", ".", "..") for part in parts):
        return "it has to be a relative path without `.`, `..` and empty parts"
    if "\\" in name or PureWindowsPath(name).drive:
        return "backslashes and drives mean another place on another system"
    if not name.isprintable():
        return "it has characters that cannot be printed"
    if any(len(part.encode()) > LONGEST_NAME for part in parts):
        return f"a part of it is longer than {LONGEST_NAME} bytes"
    return None
