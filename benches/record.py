"""Keeping a batch of every step: microseconds in the caller, seconds per GiB, processor time of all threads.

Run: `.venv/bin/python benches/record.py [--quick]`; `make bench-peers` installs the peers into `.venv-bench`.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from recorders import (
    COPIES,
    DURABLE,
    FILE,
    OURS,
    RECORDERS,
    STREAM,
    WRITE,
    WRITEV,
)
from rounds import (
    Column,
    Contender,
    Goal,
    Measured,
    folder,
    goals,
    interleave,
    options,
    populate,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from recorders import Open

    Array = NDArray[np.float32]


class Size(NamedTuple):
    """Batches of one size: rows, width of a row, and how many are recorded in a round.

    A slow contender stops after `seconds`, with a pause after three times as long; its figures are
    those of the batches that it got through.
    """

    name: str
    rows: int
    width: int
    flood: int
    paused: int
    seconds: float = 0.4


SIZES = [
    Size("1.25 KiB", 32, 10, 20_000, 300),
    Size("128 KiB", 256, 128, 1500, 300),
    Size("16 MiB", 4096, 1024, 12, 12),
]
STAGING = 64 << 20
"""Memory that our store takes for records that are not on file yet: pages for it have to be there too."""
PAUSE = 384
"""Side of the matrices that are multiplied between calls: about a millisecond, and most of the cache."""


def batches(size: Size) -> list[Array]:
    """A few different batches, small enough to stay in the cache where a real loop's would."""
    generator = np.random.default_rng(0)
    return [generator.standard_normal((size.rows, size.width)).astype(np.float32) for _ in range(4)]


def flood(open_recorder: Open, size: Size) -> dict[str, float]:
    """Batch after batch with nothing between them."""
    data = batches(size)
    clock = time.perf_counter_ns
    times = []
    with folder() as path:
        populate(path, size.flood * data[0].nbytes + 4 * STAGING)
        recorder = open_recorder(path, data[0], size.flood)
        record = recorder.record
        processor, started = time.process_time_ns(), clock()
        deadline = started + int(size.seconds * 1e9)
        for number in range(size.flood):
            before = clock()
            record(data[number % 4], 0, number)
            after = clock()
            times.append(after - before)
            if after > deadline:
                break
        recorder.written()
        written = clock()
        recorder.close()
        closed = clock()
        processor = time.process_time_ns() - processor
    count = len(times)
    gibibytes = count * data[0].nbytes / 2**30
    return {
        "median": statistics.median(times) / 1e3,
        "mean": statistics.fmean(times) / 1e3,
        "written": (written - started) / 1e9 / gibibytes,
        "closed": (closed - started) / 1e9 / gibibytes,
        "processor": processor / 1e3 / count,
    }


def paused(open_recorder: Open, size: Size) -> dict[str, float]:
    """A call after each computation, on a batch that was written just before, as in a training loop."""
    data = batches(size)
    clock = time.perf_counter_ns
    times = []
    left, right = torch.rand(PAUSE, PAUSE), torch.rand(PAUSE, PAUSE)
    out = torch.empty(PAUSE, PAUSE)
    with folder() as path:
        populate(path, size.paused * data[0].nbytes + 4 * STAGING)
        recorder = open_recorder(path, data[0], size.paused)
        record = recorder.record
        deadline = clock() + int(3 * size.seconds * 1e9)
        for number in range(size.paused):
            torch.mm(left, right, out=out)
            batch = data[number % 4]
            np.negative(batch, out=batch)
            before = clock()
            record(batch, 0, number)
            after = clock()
            times.append(after - before)
            if after > deadline:
                break
        recorder.close()
    return {
        "median": statistics.median(times) / 1e3,
        "mean": statistics.fmean(times) / 1e3,
        "late": float(np.percentile(times, 99)) / 1e3,
    }


def contenders(measure: Callable[[Open, Size], dict[str, float]], size: Size) -> list[Contender]:
    """All of them in one setting."""

    def contender(name: str) -> Contender:
        open_recorder, needs = RECORDERS[name]
        return Contender(name=name, needs=needs, run=lambda: measure(open_recorder, size))

    return [contender(name) for name in RECORDERS]


def less(size: Size) -> Size:
    """What `--quick` measures."""
    return size._replace(flood=size.flood // 2, paused=size.paused // 3, seconds=0.2)


FLOOD_COLUMNS = [
    Column("median", "caller, median us", COPIES),
    Column("mean", "caller, mean us"),
    Column("processor", "CPU of all threads, us", WRITEV),
    Column("written", "in files, s/GiB", WRITE),
    Column("closed", "closed, s/GiB", DURABLE),
]
PAUSED_COLUMNS = [
    Column("median", "caller, median us", COPIES),
    Column("mean", "caller, mean us", COPIES),
    Column("late", "caller, 99th percentile us"),
]


TWO_COPIES = (
    "The caller copies into staging and the drainer from there into the page cache, where `writev()` "
    "copies once; three quarters of the drainer's time are that copy (`copy_folio_from_iter_atomic`)."
)
CHECKSUM = (
    "A record of this size is written by the caller, with a checksum that `writev()` does not compute: "
    "about 0.4 ms of 16 MiB. Where the ratio is far above that, the machine lends its memory page by page: a call costs "
    "2.4 ms (`writev()` 2.1 ms) while the pages of the cache are there, and 34 ms from the first page on that is not; "
    "`writev()` of 4.7 GiB into one file costs 45 ms there. The contenders take turns, and get pages as they come."
)


def limits(size: Size, flooded: Measured, with_pause: Measured) -> list[Goal]:
    """What was aimed at, for one size."""
    found = []
    caller = flooded.best(OURS, "median")
    if size.rows < 4096:
        for setting, measured in (("flooding", flooded), ("with a pause", with_pause)):
            ratio = measured.ratio(OURS, COPIES, "median")
            found.append(Goal(f"{size.name}, {setting}: caller / {COPIES}", 1.0, ratio))
    else:
        ratio = flooded.ratio(OURS, WRITEV, "median")
        found.append(Goal(f"{size.name}: caller / {WRITEV}", 1.2, ratio, CHECKSUM))
    processor = flooded.ratio(OURS, WRITEV, "processor")
    found.append(Goal(f"{size.name}: CPU of all threads / {WRITEV}", 1.5, processor, TWO_COPIES))
    arrow = min(flooded.best(STREAM, "median"), flooded.best(FILE, "median"))
    share = 0.2 if size.name == "128 KiB" else 1.0
    found.append(Goal(f"{size.name}: caller / the better writer of pyarrow", share, caller / arrow))
    return found


def main() -> None:
    """Print both tables of each size, and the goals."""
    chosen = options("Recording", rounds=4, quick=2)
    torch.set_num_threads(1)
    found: list[Goal] = []
    for size in [less(each) for each in SIZES] if chosen.quick else SIZES:
        if chosen.only not in size.name:
            continue
        flooded = interleave(contenders(flood, size), rounds=chosen.rounds)
        print(table(f"{size.name}, flooding", flooded, FLOOD_COLUMNS), end="\n\n")
        with_pause = interleave(contenders(paused, size), rounds=chosen.rounds)
        print(table(f"{size.name}, with a pause", with_pause, PAUSED_COLUMNS), end="\n\n")
        found += limits(size, flooded, with_pause)
    print(goals(found))


if __name__ == "__main__":
    main()
