"""Reading what was recorded: a batch by its number, all rows, opening; and opening against the number of batches.

Run: `.venv/bin/python benches/read.py [--quick] [--size MIB]`; `make bench-peers` installs the peers into `.venv-bench`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from readers import (
    FORMATS,
    MEMMAP,
    OURS,
    POPULATED,
    ROWS,
    UNCHECKED,
    WIDTH,
    open_store,
    write_store,
)
from rounds import Column, Contender, Goal, folder, goals, interleave, is_installed, options, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from readers import Format

SAMPLE = 200
"""Batches that are read in random order, once for the view and others with their bytes summed."""


def timed(get: Callable[[int], NDArray[np.float32]], numbers: Sequence[int]) -> float:
    """Median microseconds of a batch."""
    clock = time.perf_counter_ns
    times = []
    for number in numbers:
        before = clock()
        get(number)
        times.append(clock() - before)
    return statistics.median(times) / 1e3


def reading(name: str, path: Path, count: int) -> dict[str, float]:
    """Open the file of one contender anew and read it in every way."""
    started = time.perf_counter()
    view = FORMATS[name].open(path, count)
    opened = time.perf_counter()
    get = view.get
    order = np.random.default_rng(0).permutation(count).tolist()
    seen, others = order[:SAMPLE], order[SAMPLE : 2 * SAMPLE]
    figures = {
        "open": (opened - started) * 1e3,
        "view": timed(get, seen),
        "again": timed(get, seen),
        "summed": timed(lambda number: get(number).sum(), others),
        "summed again": timed(lambda number: get(number).sum(), others),
    }
    started = time.perf_counter()
    for piece in view.scan():
        piece.sum()
    gibibytes = count * ROWS * WIDTH * 4 / 2**30
    figures["scan"] = (time.perf_counter() - started) / gibibytes
    return figures | {"process": in_new_process("--first", name, str(path), str(count))}


def in_new_process(*arguments: str) -> float:
    """Milliseconds of a whole process that reads one batch and ends."""
    started = time.perf_counter()
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    return (time.perf_counter() - started) * 1e3


def write_all(root: Path, count: int) -> dict[str, Path]:
    """Write each kind of file once; formats that are read in two ways share theirs."""
    paths: dict[Callable[[Path, int], None], Path] = {}
    for name, format in FORMATS.items():
        if format.write in paths or not available(format):
            continue
        paths[format.write] = root / str(len(paths))
        paths[format.write].mkdir()
        print(f"writing {count} batches for {name}", file=sys.stderr)
        format.write(paths[format.write], count)
    return {name: paths[each.write] for name, each in FORMATS.items() if each.write in paths}


def available(format: Format) -> bool:
    """Whether the module that it needs is installed."""
    return format.needs is None or is_installed(format.needs)


def compare(count: int, rounds: int) -> list[Goal]:
    """Print the table of all formats; returns the goals."""
    with folder() as root:
        paths = write_all(root, count)

        def contender(name: str) -> Contender:
            needs = FORMATS[name].needs
            return Contender(name=name, needs=needs, run=lambda: reading(name, paths[name], count))

        measured = interleave(list(map(contender, FORMATS)), rounds=rounds)
    columns = [
        Column("view", "view, us"),
        Column("again", "the same again, us"),
        Column("summed", "summed, us", MEMMAP),
        Column("summed again", "summed again, us", POPULATED),
        Column("scan", "scan, s/GiB", POPULATED),
        Column("open", "open, ms"),
        Column("process", "process to first batch, ms"),
    ]
    title = f"{count} batches of 256 KiB"
    print(table(title, measured, columns), end="\n\n")
    return [
        Goal("view of a batch, us", 1, measured.best(UNCHECKED, "view")),
        Goal("view of a batch that was checked before, us", 1, measured.best(OURS, "again")),
        Goal(f"summed again / {POPULATED}", 1.1, measured.ratio(OURS, POPULATED, "summed again")),
        Goal(
            f"scan, check=False / {POPULATED}",
            1.1,
            measured.ratio(UNCHECKED, POPULATED, "scan"),
            "The first sum maps the pages, which the populated map has beforehand; see `summed again`.",
        ),
        Goal("process to first batch, ms", 150, measured.best(OURS, "process")),
    ]


def resident() -> float:
    """KiB of memory that this process holds, pages of mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1024


def probe(path: Path, count: int) -> dict[str, float]:
    """What opening costs, and what ten thousand reads in random order cost on top."""
    open_store(path, count).get(0)
    opens = []
    before = resident()
    for _ in range(20):
        started = time.perf_counter()
        view = open_store(path, count)
        opens.append((time.perf_counter() - started) * 1e3)
    opened = resident()
    numbers = np.random.default_rng(0).integers(0, count, 10_000).tolist()
    timed(view.get, numbers)
    return {
        "open": statistics.median(opens),
        "opened": opened - before,
        "get": timed(view.get, numbers),
        "read": resident() - before,
        "index": sum(each.stat().st_size for each in path.rglob("index-*")) / count,
    }


def probe_apart(path: Path, count: int) -> dict[str, float]:
    """The figures of a new process."""
    command = [sys.executable, __file__, "--probe", str(path), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def growing(powers: Sequence[int], rounds: int) -> list[Goal]:
    """Print what opening costs against the number of batches; returns the goals."""
    row = np.zeros((1, 4), np.float32)
    with folder() as root:

        def contender(power: int) -> Contender:
            path = root / str(power)
            path.mkdir()
            print(f"writing 10^{power} batches", file=sys.stderr)
            write_store(path, 10**power, lambda _number: row)
            return Contender(name=f"10^{power}", run=lambda: probe_apart(path, 10**power))

        measured = interleave(list(map(contender, powers)), rounds=rounds)
    columns = [
        Column("open", "open, ms"),
        Column("get", "view, us"),
        Column("index", "index, bytes a batch"),
        Column("opened", "memory after opening, KiB"),
        Column("read", "memory after 10,000 reads, KiB"),
    ]
    print(table("batches of 16 bytes", measured, columns), end="\n\n")
    most = f"10^{powers[-1]}"
    return [
        Goal(f"open with {most} batches, ms", 1, measured.best(most, "open")),
        Goal(f"view with {most} batches, us", 1, measured.best(most, "get")),
    ]


def main() -> None:
    """Print both tables and the goals."""
    chosen = options("Reading", rounds=4, quick=2)
    size = min(chosen.size, 128) if chosen.quick else chosen.size
    found = []
    if chosen.only in "formats":
        found += compare(size * 4, chosen.rounds)
    if chosen.only in "growing":
        found += growing([3, 4, 5] if chosen.quick else [3, 4, 5, 6], chosen.rounds)
    print(goals(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--first"]:
        name, file, batches = sys.argv[2:]
        opened = FORMATS[name].open(Path(file), int(batches))
        opened.get(int(batches) // 2).sum()
    elif sys.argv[1:2] == ["--probe"]:
        print(json.dumps(probe(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
