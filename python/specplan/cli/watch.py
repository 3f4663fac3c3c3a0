"""Doing something again whenever a file changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

SECONDS = 0.2
"""Between two looks at the files: shorter than a person waits."""

_CLOCK = 10_000_000
"""Nanoseconds by which the times of files are behind at most: a tick of the kernel."""


def watch(check: Callable[[], Collection[Path]]) -> NoReturn:
    """Call `check`, which says what it read, and again after each change of these files; ends with Ctrl-C.

    A file that one check read is watched from then on: it may be missing for a moment while an editor saves it.
    """
    watched: dict[Path, tuple[int, int] | None] = {}
    while True:
        watched = {path: _state(path) for path in watched}
        started = time.time_ns() - _CLOCK
        for path in check():
            state = _state(path)
            # Of a file that is new here nobody knows whether it changed before it was read, or after.
            changed_since = state is not None and state[0] >= started
            watched.setdefault(path, None if changed_since else state)
        while (changed := _changed(watched)) is None:
            time.sleep(SECONDS)
        click.echo(f"\n{time.strftime('%H:%M:%S')} {changed.name} changed", err=True)


def _changed(watched: dict[Path, tuple[int, int] | None]) -> Path | None:
    return next((path for path, state in watched.items() if _state(path) != state), None)


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
