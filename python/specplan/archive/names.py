"""Names of files, experiments and runs that stay in their folder on every system."""

from __future__ import annotations

from pathlib import PureWindowsPath

from specplan.spec.model import LONGEST_NAME

DEEPEST = 8
"""Parts of the name of an experiment: runs in deeper folders are not looked for."""


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


def experiment_fault(name: str) -> str | None:
    """Why an experiment cannot have a name, of one or more parts divided by `/`; None where it can.

    What has such a name can be written, listed, sent, archived and put back.
    """
    if fault := name_fault(name):
        return fault
    if any(part.startswith(".") or ":" in part for part in name.split("/")):
        return "no part of it begins with a dot or has a colon"
    if name.count("/") >= DEEPEST:
        return f"it has more than {DEEPEST} parts"
    return None


def run_fault(name: str) -> str | None:
    """Why a run cannot have a name, which is that of its folder in that of the experiment; None where it can."""
    return "it has one part, without `/`" if "/" in name else experiment_fault(name)
