"""Values as other tools write them down."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from specplan.store.artifacts import check_name
from specplan.track.entries import File

if TYPE_CHECKING:
    from pathlib import Path

_WORDS: dict[str, bool | None] = {"True": True, "False": False, "None": None}


def meant(text: str) -> str | float | bool | None:
    """What a program wrote as this text: a number only where that is written in just this way."""
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text and math.isfinite(value):
            return value
    return text


def files_below(folder: Path) -> tuple[list[File], list[str]]:
    """The files below a folder, and what is said of those that are links to somewhere else."""
    files, remarks = [], []
    inside = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            continue
        if not path.resolve().is_relative_to(inside):
            remarks.append(f"the file `{name}` is a link that leaves its folder")
            continue
        try:
            check_name(name)
        except ValueError as error:
            remarks.append(str(error))
        else:
            files.append(File(name, path))
    return files, remarks


def dated_name(started: int, identity: str) -> str:
    """When a run began, and its id: so runs are in order, and one that is there is known.

    Args:
        started: nanoseconds since 1970.
        identity: what the other tool calls it.
    """
    return f"{datetime.fromtimestamp(started // 1_000_000_000, UTC):%Y%m%d-%H%M%S}-{identity}"
