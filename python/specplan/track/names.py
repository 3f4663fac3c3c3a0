"""Names of experiments and runs, which are paths below the folder of all runs."""

from __future__ import annotations

import os
import re

_MOST_BYTES = 240
"""Of a part: file systems take 255, and files beside it have longer names."""


def check_parts(what: str, name: str) -> None:
    """Raise ValueError where `name` is no relative path of parts that a folder may have."""
    if any(not _is_part(part) for part in name.split("/")):
        raise ValueError(
            f"{name!r} cannot be the name of {what}: it is a text of one or more parts divided by `/`, "
            "and no part is empty, begins with a dot or holds a backslash, a colon or a control character"
        )
    if any(len(os.fsencode(part)) > _MOST_BYTES for part in name.split("/")):
        raise ValueError(
            f"{name[:40]!r}... cannot be the name of {what}: a part of it has more than {_MOST_BYTES} bytes"
        )


def as_part(name: str) -> str:
    """A name of another tool as a folder may have it."""
    return re.sub(r"[^\w. -]|^\.", "_", name) or "_"


def _is_part(part: str) -> bool:
    return bool(part) and part[0] != "." and part.isprintable() and not set(part) & set("\\:")
