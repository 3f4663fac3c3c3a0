"""Interleaved rounds: every contender once a round, in shuffled order, so that noise falls on all alike."""

from __future__ import annotations

import argparse
import ctypes
import gc
import random
import statistics
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to do what is measured.

    Attributes:
        run: does it once and returns its figures by name (lower is better).
        needs: the module of a peer that may not be installed; None for what the project has anyway.
    """

    name: str
    run: Callable[[], Mapping[str, float]]
    needs: str | None = None


@dataclass
class Measured:
    """Figures of all rounds: by contender, then by name of the figure.

    Attributes:
        absent: contenders without figures, and why.
    """

    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def best(self, contender: str, figure: str) -> float:
        """The least of all rounds."""
        return min(self.rounds[contender][figure])

    def ratio(self, contender: str, baseline: str, figure: str) -> float:
        """The best of one contender over the best of another; nan where one is absent."""
        if contender not in self.rounds or baseline not in self.rounds:
            return float("nan")
        return self.best(contender, figure) / self.best(baseline, figure)


@dataclass(frozen=True)
class Column:
    """One figure of a table; with `against`, a second column with the ratio to that contender."""

    figure: str
    title: str
    against: str | None = None


def interleave(
    contenders: Sequence[Contender], *, rounds: int, seed: int = 0, warm_ups: int = 0
) -> Measured:
    """Run each contender once a round and keep its figures, but those of the `warm_ups` rounds before.

    Memory that an earlier contender freed is given back first: a list that grows with a run always
    grows into fresh pages.
    """
    measured = Measured()
    order = []
    for contender in contenders:
        if contender.needs is None or is_installed(contender.needs):
            measured.rounds[contender.name] = {}
            order.append(contender)
        else:
            measured.absent[contender.name] = f"not installed ({contender.needs})"
    shuffle = random.Random(seed).shuffle
    for number in range(warm_ups + rounds):
        shuffle(order)
        for contender in list(order):
            gc.collect()
            _LIBC.malloc_trim(0)
            try:
                figures = contender.run()
            except Exception as exception:
                if contender.needs is None:
                    raise
                # A peer that does not work on this machine is a line of the table, not the end of it.
                measured.absent[contender.name] = f"failed: {type(exception).__name__}"
                del measured.rounds[contender.name]
                order.remove(contender)
                continue
            for name, value in figures.items() if number >= warm_ups else ():
                measured.rounds[contender.name].setdefault(name, []).append(value)
    return measured


def is_installed(module: str) -> bool:
    """Whether a module can be found, without importing it."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False  # the package above it


def table(title: str, measured: Measured, columns: Sequence[Column]) -> str:
    """A Markdown table: `best (median)` of each figure, and the ratio of the bests to a baseline's."""
    heads = [title]
    for column in columns:
        heads.append(column.title)
        if column.against is not None:
            heads.append(f"x {column.against}")
    lines = [heads, ["---"] * len(heads)]
    for contender, figures in measured.rounds.items():
        line = [contender]
        for column in columns:
            values = figures.get(column.figure)
            line.append("-" if values is None else _cell(values))
            if column.against is not None:
                known = values is not None and column.against in measured.rounds
                ratio = measured.ratio(contender, column.against, column.figure) if known else None
                line.append("-" if ratio is None else f"{ratio:.2f}")
        lines.append(line)
    for contender, reason in measured.absent.items():
        lines.append([contender, reason, *["-"] * (len(heads) - 2)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(values: Sequence[float]) -> str:
    best, median = digits(min(values)), digits(statistics.median(values))
    return best if best == median else f"{best} ({median})"


def digits(value: float) -> str:
    """A number with about three digits that count."""
    for least, places in ((100, 0), (10, 1), (1, 2), (0.1, 3)):
        if abs(value) >= least:
            return f"{value:.{places}f}"
    return f"{value:.2g}"


@dataclass(frozen=True)
class Goal:
    """A limit that was set beforehand; `why` explains where it is missed."""

    what: str
    limit: float
    measured: float
    why: str = ""

    def __str__(self) -> str:
        met = self.measured <= self.limit
        verdict = "met" if met else f"**missed**. {self.why}" if self.why else "**missed**"
        return f"| {self.what} | {digits(self.limit)} | {digits(self.measured)} | {verdict} |"


def goals(goals: Sequence[Goal]) -> str:
    """A Markdown table of goals, each with what was measured in the same run."""
    head = "| goal | at most | measured | |\n| --- | --- | --- | --- |"
    return "\n".join([head, *map(str, goals)])


def options(description: str, *, rounds: int, quick: int) -> argparse.Namespace:
    """The options that every bench has: `--quick`, `--rounds`, `--only`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer rounds of less")
    parser.add_argument("--rounds", type=int, help=f"default {rounds}, with --quick {quick}")
    parser.add_argument("--only", default="", help="sections whose name contains this")
    parser.add_argument("--size", type=int, default=1024, help="MiB that are read (read.py)")
    chosen = parser.parse_args()
    if chosen.rounds is None:
        chosen.rounds = quick if chosen.quick else rounds
    return chosen


@contextmanager
def folder() -> Iterator[Path]:
    """A folder on the file system of the current one: /tmp may be memory."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="bench-") as path:
        yield Path(path)


def populate(path: Path, size: int) -> None:
    """Write a file and delete it, so that its pages are free and really there.

    A virtual machine pays several times as much for a page that its host has yet to provide, and the
    contender that gets such pages is drawn by lot.
    """
    piece = bytes(1 << 20)
    scratch = path / "scratch"
    with scratch.open("wb", buffering=0) as file:
        for _ in range(0, size, len(piece)):
            file.write(piece)
    scratch.unlink()


def size_of(path: Path) -> int:
    """Bytes that the files below a folder take on the disk."""
    return sum(each.stat().st_blocks * 512 for each in path.rglob("*") if each.is_file())
