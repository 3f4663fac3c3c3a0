"""What a run holds, piece by piece, as it is sent elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Metric(msgspec.Struct, frozen=True):
    """One value of a metric.

    Attributes:
        time: milliseconds since 1970.
    """

    name: str
    value: float
    step: int
    time: int


class Param(msgspec.Struct, frozen=True):
    """One param, its value as a text."""

    name: str
    value: str


class File(msgspec.Struct, frozen=True):
    """One file among the artifacts, or a folder of them: `path` here, `name` there.

    Attributes:
        version: 1 for the first of its name, and so on.
    """

    name: str
    path: Path
    version: int = 1


Entry = Metric | Param | File
