"""P6: change the files of a run at random; each gives the same data or an error that names it."""

from __future__ import annotations

import os
import random
import re
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import PlanError, RunError, StoreError
from specplan.plan.canonical import NAMES, read_plan
from specplan.results.status import read_run_file
from tests.torture.figures import Row, Size
from tests.torture.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from specplan.store.layout import RunFolder
    from tests.torture.tools import Tools

    Read = Callable[[Path], Any]

STORE_CHANGES = {Size.QUICK: 20_000, Size.LONG: 1_000_000}
FILE_CHANGES = {Size.QUICK: 300, Size.LONG: 20_000}
SPECIMENS = 2
"""Tests of rust/store/tests/mutation.rs; each makes its share."""
NAMED = (PlanError, RunError, StoreError)


def rows(_tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """The store's own formats in Rust, those of the run folder around it here."""
    yield store_row(STORE_CHANGES[size])
    folder = run_folder(scratch)
    for name, (path, read) in formats(folder).items():
        tally = Changes(path, read, seed=1)
        tally.make(FILE_CHANGES[size])
        facts = f"{tally.refused:,} refused by name, the others read the same"
        yield Row("P6", f"changed {name}", tally.made, len(tally.violations), facts, COMMAND)


COMMAND = "python -m tests.torture mutation"


def store_row(changes: int) -> Row:
    """All kinds of files of a store, closed and live."""
    command = ["cargo", "test", "--release", "--workspace", "--locked", "--test", "mutation"]
    environment = {**os.environ, "SPECPLAN_MUTATIONS": str(changes // SPECIMENS)}
    finished = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    counts = [int(count) for count in re.findall(r"^(\d+) of \d+ changes", finished.stdout, re.M)]
    violations = sum(counts) or int(finished.returncode != 0)
    facts = "bits, bytes, numbers, lengths, pieces of other files and of earlier states"
    return Row("P6", "changed files of a store", changes, violations, facts, COMMAND)


def formats(folder: RunFolder) -> dict[str, tuple[Path, Read]]:
    """What a run folder has beside its store, and how it is read."""
    return {
        "run.json": (folder.run_file, lambda _: read_run_file(folder)),
        "plan.json": (folder.plan_file, what_runs),
        "metrics.parquet": (folder.metrics_table, verified_bytes),
    }


def what_runs(path: Path) -> Any:
    """A plan without its names, which its id does not cover: a run with another title is the same."""
    plan = msgspec.to_builtins(read_plan(path).plan)
    for data in plan["data"].values():
        data["source"] = {**data["source"], "name": None, "path": None}
    return {key: value for key, value in plan.items() if key not in NAMES}


def verified_bytes(path: Path) -> bytes:
    """The bytes of a Parquet file whose digest is right."""
    from specplan._native import verify_parquet

    verify_parquet(str(path))
    return path.read_bytes()


def run_folder(root: Path) -> RunFolder:
    """A small run that is over."""
    from tests.run import specs

    return specs.run(specs.compiled(specs.train(epochs=1)), root).folder


class Changes:
    """Random changes of one file, and what became of each."""

    def __init__(self, path: Path, read: Read, seed: int) -> None:
        self.path = path
        self.read = read
        self.whole = path.read_bytes()
        self.wanted = read(path)
        self.random = random.Random(seed)
        self.made = 0
        self.refused = 0
        self.violations: list[str] = []

    def make(self, count: int) -> None:
        """Make so many changes; the file is as before at the end."""
        for _ in range(count):
            name, changed = self.change()
            self.path.write_bytes(changed)
            try:
                found = self.read(self.path)
            except NAMED as error:
                self.refused += 1
                if str(self.path) not in str(error) and self.path.name not in str(error):
                    self.violations.append(f"{name}: no file is named: {error}")
            except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
                self.violations.append(f"{name}: {type(error).__name__}: {error}")
            else:
                if found != self.wanted:
                    self.violations.append(f"{name}: other data")
            self.made += 1
        self.path.write_bytes(self.whole)

    def change(self) -> tuple[str, bytes]:
        """One change of the whole file."""
        data, generator = bytearray(self.whole), self.random
        start = generator.randrange(len(data))
        end = min(start + 1 + generator.randrange(64), len(data))
        kind = generator.choice(["bit", "byte", "digit", "cut", "zeros", "repeat", "remove"])
        if kind == "bit":
            data[start] ^= 1 << generator.randrange(8)
        elif kind == "byte":
            data[start] = generator.randrange(256)
        elif kind == "digit":
            digits = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
            start = generator.choice(digits)
            data[start] = 48 + generator.randrange(10)
        elif kind == "cut":
            del data[start:]
        elif kind == "zeros":
            data[start:end] = bytes(end - start)
        elif kind == "repeat":
            data[start:start] = data[start:end]
        else:
            del data[start:end]
        return f"{kind} at {start}", bytes(data)
