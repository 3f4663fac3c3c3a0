"""The run in an archive, for reading.

The records are read through memory maps of their files, so a copy of what is read lies in a folder for temporary files,
one for each archive and process. It has no checkpoints, which only `mlx verify` reads.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from specplan.archive.archive import Archive
from specplan.results.run_archive import FOLDER, place_of
from specplan.results.status import lives
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

_COPY = re.compile(r"specplan-(\d+)-.+")
_OPENED: dict[tuple[object, ...], RunFolder] = {}


def opened(path: Path, *, whole: bool = False) -> RunFolder:
    """The run in an archive. Its files are there until the process ends; every one is compared with its digest.

    Args:
        path: of the archive.
        whole: with its checkpoints.

    Raises:
        ArchiveError: it is no archive of a run, or is damaged.
        OSError: there is no room for the copy.
    """
    stat = path.stat()
    key = (path.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns, whole)
    if key not in _OPENED:
        with Archive(path, "run") as archive:
            for left in _left_by_killed_processes():
                shutil.rmtree(left, ignore_errors=True)  # perhaps of another user
            root = Path(tempfile.mkdtemp(prefix=f"specplan-{os.getpid()}-"))
            atexit.register(_remove, root, os.getpid())
            folder = place_of(archive, root)
            archive.extract(
                FOLDER, folder, without=None if whole else RunFolder(folder).checkpoints.name
            )
        _OPENED[key] = RunFolder(folder, archive=path)
    return _OPENED[key]


def _left_by_killed_processes() -> Iterator[Path]:
    for path in Path(tempfile.gettempdir()).iterdir():
        named = _COPY.fullmatch(path.name)
        if named is not None and not lives(int(named[1])):
            yield path


def _remove(root: Path, maker: int) -> None:
    if os.getpid() == maker:  # not one that was forked from it
        shutil.rmtree(root, ignore_errors=True)
