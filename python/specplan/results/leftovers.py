"""What killed processes left below a root: files and folders in the making, which no reader looks at."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from specplan.archive.names import DEEPEST
from specplan.base.files import this_host
from specplan.errors import RunError
from specplan.results.removal import GONE, Candidate, candidate, goes_on
from specplan.results.status import lives
from specplan.results.walk import walk
from specplan.store.layout import SWEEP_FILE, RunFolder, index_file, removed_file
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.results.index import Listed

_OF_PROCESS = re.compile(
    r"\.(?P<name>.+)\.(?:(?P<host>[0-9a-f]{8})-)?(?P<pid>\d{1,10})(?P<end>\.gone|\.tmp)?"
)
"""Names in the making say who makes them; without a host they are taken to be of this one."""
GIVEN_UP_SECONDS = 7 * 86_400
"""What a process of another host makes, of which nothing is known here, counts as given up when it is so old."""
_UNFINISHED = ".tmp"
_RUN = RunFolder(Path())
_OF_A_RUN = {
    path.name
    for path in (
        *_RUN.constant_files,
        *(_RUN.run_file, _RUN.reserve, _RUN.params_file, _RUN.tags_file, _RUN.logs),
        *(_RUN.records, _RUN.tables, _RUN.artifacts, _RUN.checkpoints),
    )
}
_BESIDE_RUNS = {index_file(Path()).name, removed_file(Path()).name, SWEEP_FILE}


def leftovers(root: Path) -> Iterator[Candidate]:
    """Everything below a root that its maker can no longer finish. Runs that go on are not looked into."""
    yield from _in_folders(root, DEEPEST)
    for found in walk(root):
        folder = RunFolder(root / found.key)
        try:
            if not goes_on(folder) and not folder.path.is_symlink():
                yield from _in_run(folder)
        except RunError:
            continue  # damaged: `mlx verify` and `mlx repair` are for it


def spent_checkpoints(run: Listed) -> Iterator[Candidate]:
    """The checkpoints of a run that is complete: nothing goes on from them."""
    path = run.folder.checkpoints
    if run.status is Status.COMPLETED and path.is_dir() and not path.is_symlink():
        yield candidate(
            path, "checkpoints", "checkpoints of a run that is complete", run=run.folder.path
        )


def _in_folders(folder: Path, depth: int) -> Iterator[Candidate]:
    """Runs that never began or were half removed, in the folders around runs."""
    for path in _entries(folder) if depth >= 0 else ():
        if path.is_symlink():
            continue
        if path.name[0] == ".":
            yield from _of_dead_process(path)
        # Unlike methods of Path these raise nothing where nobody may look.
        elif os.path.isdir(path) and not os.path.isfile(RunFolder(path).run_file):  # noqa: PTH112, PTH113
            yield from _in_folders(path, depth - 1)


def _of_dead_process(path: Path) -> Iterator[Candidate]:
    named = _abandoned(path)
    if named is None:
        return
    if named["end"] == GONE:
        yield candidate(path, "leftover", "was removed half way")
    elif named["end"] == _UNFINISHED:
        kind = "folder" if path.is_dir() else "file"
        yield candidate(path, "leftover", f"a {kind} that was never finished")
    elif path.is_dir():
        # Anything else in it is not of our making.
        inside = {each.name for each in _entries(path) if not _OF_PROCESS.fullmatch(each.name)}
        if inside <= _OF_A_RUN:
            yield candidate(path, "leftover", "a run that never began")
    # A name with a host is always of our making, such as that of the history of an ExperimentManager.
    elif path.is_file() and (named["host"] is not None or named["name"] in _BESIDE_RUNS):
        yield candidate(path, "leftover", "a file that was never finished")


def _in_run(folder: RunFolder) -> Iterator[Candidate]:
    for path, what in _parts(folder):
        if not path.is_symlink():
            yield candidate(path, "leftover", what, run=folder.path)


def _parts(folder: RunFolder) -> Iterator[tuple[Path, str]]:
    if folder.reserve.is_file():
        yield folder.reserve, "room that a run kept for its end"
    for path in _entries(folder.path):
        named = _abandoned(path)
        if named is not None and named["end"] == GONE:
            yield path, "was removed half way"
        elif named is not None and named["name"] in _OF_A_RUN:
            yield path, "a file that was never finished"
    for path in _entries(folder.checkpoints):
        if _abandoned(path) is not None:
            yield path, "a checkpoint that was never finished"
    # A program may keep an artifact by any name that does not begin with a dot.
    for part, start in ((folder.records, ""), (folder.tables, ""), (folder.artifacts, ".")):
        for place, _, files in os.walk(part):
            for name in sorted(files):
                if name.startswith(start) and name.endswith(_UNFINISHED):
                    yield Path(place, name), "a file that was never finished"


def _entries(folder: Path) -> list[Path]:
    """What is in a folder; nothing where it is none, a link, gone meanwhile, or where nobody may look."""
    try:
        return [] if folder.is_symlink() else sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []  # who lists the runs tells of a folder that cannot be read


def _abandoned(path: Path) -> re.Match[str] | None:
    """The parts of a name in the making, where the process in it is gone."""
    named = _OF_PROCESS.fullmatch(path.name)
    if named is None:
        return None
    if named["host"] not in (None, this_host()):
        return named if _is_older(path, GIVEN_UP_SECONDS) else None
    return None if lives(int(named["pid"])) else named


def _is_older(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > seconds
    except FileNotFoundError:
        return False
