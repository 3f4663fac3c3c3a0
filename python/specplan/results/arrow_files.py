"""The rows of Arrow files that grow, and of Parquet files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pyarrow as pa

from specplan._native import verify_parquet
from specplan.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ATTEMPTS = 20
SECONDS_BETWEEN_ATTEMPTS = 0.001


def read_rows(files: Sequence[tuple[str, int, int]]) -> pa.Table | None:
    """Some rows of each file (path, first, count), in order, aliasing the mapped files; None for no files."""
    tables = [_open(path).slice(first, rows) for path, first, rows in files]
    return pa.concat_tables(tables) if tables else None


def read_written(path: Path) -> pa.Table:
    """A table of ours, compared with its digest: Parquet readers hand out what is there, flipped bits too.

    Raises:
        StoreError: the file is damaged.
    """
    if not path.is_file():
        raise StoreError(f"{path} is not a file")
    verify_parquet(str(path))
    return read_parquet(path)


def read_parquet(path: Path) -> pa.Table:
    """The table in a Parquet file.

    Raises:
        StoreError: the file is damaged.
    """
    import pyarrow.parquet as pq

    if not path.is_file():
        raise StoreError(f"{path} is not a file")
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is damaged: {error}") from error


def _open(path: str) -> pa.Table:
    # The writer changes the length fields of a file in one write, but a reader of the map may see
    # that write half done. It is over within microseconds, unless the writer has to wait for a core.
    for attempt in range(ATTEMPTS):
        try:
            return pa.ipc.open_file(pa.memory_map(path)).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            if attempt == ATTEMPTS - 1:
                raise StoreError(f"{path} is damaged: {error}") from error
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
    raise AssertionError("the loop returns or raises")
