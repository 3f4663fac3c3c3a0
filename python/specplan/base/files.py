"""Files that are whole: a reader sees the old one or the new one, after a power cut too."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from pathlib import Path


def in_the_making(path: Path, end: str = "") -> Path:
    """The name beside `path` of what this process makes of it. It says who: others may share the folder."""
    return path.with_name(f".{path.name}.{this_host()}-{os.getpid()}{end}")


@functools.cache
def this_host() -> str:
    """What stands for this machine in a name."""
    return blake3(os.uname().nodename.encode()).hexdigest(length=4)


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename: a reader sees the old file or the new one, after a power cut too."""
    beside = in_the_making(path)
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        # Nobody knows the file beside.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        beside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
