"""P4, P7, P16: the long form of three tests of `tests/store`, which also run in `make test`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from tests.torture.figures import Row, Size
from tests.torture.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.torture.tools import Tools

COMMAND = "python -m tests.torture lives"


class Life(NamedTuple):
    """A test file, the variable that says how long it runs, and how many trials one step of it is."""

    promise: str
    test: str
    file: str
    variable: str
    sizes: dict[Size, int]
    trials: int
    facts: str


LIVES = (
    Life(
        "P4",
        "reads of a store that grows",
        "test_live_readers.py",
        "SPECPLAN_READS",
        {Size.QUICK: 500, Size.LONG: 10_000},
        4,
        "by specplan, pyarrow, polars and duckdb, each in its process",
    ),
    Life(
        "P7",
        "runs made in one place at once",
        "test_many_runs.py",
        "SPECPLAN_RUNS",
        {Size.QUICK: 5, Size.LONG: 50},
        8,
        "in eight lanes; a quarter killed; a second writer of each refused by name",
    ),
    Life(
        "P16",
        "writers that are interrupted",
        "test_endings.py",
        "SPECPLAN_ENDINGS",
        {Size.QUICK: 5, Size.LONG: 200},
        2,
        "SIGINT and SIGTERM; forks, exits and exceptions are in the same file",
    ),
)


def rows(_tools: Tools, size: Size, _scratch: Path) -> Iterator[Row]:
    """One row for each file."""
    for life in LIVES:
        steps = life.sizes[size]
        finished = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"tests/store/{life.file}"],
            cwd=ROOT,
            env={**os.environ, life.variable: str(steps)},
            check=False,
        )
        failed = int(finished.returncode != 0)
        yield Row(life.promise, life.test, steps * life.trials, failed, life.facts, COMMAND)
