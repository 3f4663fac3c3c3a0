"""Ten numbers of every step: microseconds in the caller, until another process can read them, bytes on disk.

Run: `.venv/bin/python benches/scalars.py [--quick]`; `make bench-peers` installs the peers into `.venv-bench`.
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
from loggers import LIST, LOGGERS, NAMES, OURS, OURS_DICT, TRACKERS
from rounds import Column, Contender, Goal, folder, goals, interleave, options, size_of, table

from specplan._native import Store

if TYPE_CHECKING:
    from loggers import Open
    from numpy.typing import NDArray

CALLS = 20_000
SECONDS = 1.0
"""A slow contender stops after this time; its figures are those of the calls that it got through."""

WATCH = """
import json, sys, time
from specplan._native import StoreReader
reader, seen, last = StoreReader.open(sys.argv[1]), [], -1
print("open", flush=True)
while not reader.closed:
    watermark = reader.refresh()
    if watermark != last:
        seen.append((watermark, time.monotonic_ns()))
        last = watermark
    time.sleep(0.0002)
print(json.dumps(seen))
"""
"""A process that looks again and again how far a writer has come."""


def logging(open_logger: Open, rows: NDArray[np.float64]) -> dict[str, float]:
    """Call after call with nothing between them."""
    clock = time.perf_counter_ns
    values = [dict(zip(NAMES, row, strict=True)) for row in rows.tolist()]
    steps = list(enumerate(zip(values, list(rows), strict=True)))
    times = []
    with folder() as path:
        logger = open_logger(path)
        log = logger.log
        empty = size_of(path)
        started = clock()
        deadline = started + int(SECONDS * 1e9)
        for step, (of_step, row) in steps:
            before = clock()
            log(step, of_step, row)
            after = clock()
            times.append(after - before)
            if after > deadline:
                break
        logger.readable()
        readable = clock()
        logger.close()
        size = size_of(path)
    calls = len(times)
    figures = {"median": statistics.median(times) / 1e3, "mean": statistics.fmean(times) / 1e3}
    if size:
        figures["readable"] = (readable - started) / 1e3 / calls
        figures["bytes"] = (size - empty) / calls / len(NAMES)
    return figures


def apart(name: str, calls: int) -> dict[str, float]:
    """The figures of one contender in a process of its own: trackers keep threads, locks and paths."""
    with folder() as path:
        # Through a file: a tracker may leave a daemon behind that keeps a pipe open.
        answer = path / "figures.json"
        command = [
            sys.executable,
            "-W",
            "ignore",
            __file__,
            "--apart",
            name,
            str(calls),
            str(answer),
        ]
        environment = {**os.environ, "DVC_NO_ANALYTICS": "true", "WANDB_ERROR_REPORTING": "false"}
        quiet = subprocess.DEVNULL
        subprocess.run(
            command, stdout=quiet, stderr=quiet, env=environment, timeout=120, check=True
        )
        figures: dict[str, float] = json.loads(answer.read_text())
    return figures


def latency(path: Path, *, calls: int) -> NDArray[np.float64]:
    """Milliseconds from a call until another process sees it, for calls that are 3 ms apart."""
    store = Store.create(str(path / "records"), run_id="bench")
    log = store.metrics([("train", "MLP", "train", name) for name in NAMES]).log
    row = np.zeros(len(NAMES))
    command = [sys.executable, "-c", WATCH, str(path / "records")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        logged = []
        for step in range(calls):
            logged.append((log(row, 0, step, step), time.monotonic_ns()))
            time.sleep(0.003)
        store.close()
        seen = np.array(json.loads(watcher.stdout.read()))
    sequences, times = np.array(logged).T
    first = np.searchsorted(seen[:, 0], sequences)
    late: NDArray[np.float64] = (seen[first, 1] - times) / 1e6
    return late


def some(calls: int) -> NDArray[np.float64]:
    """Values that do not compress: nothing is gained by a codec here."""
    return np.random.default_rng(0).random((calls, len(NAMES)))


def contender(name: str, calls: int) -> Contender:
    """One of them; trackers in a process of their own."""
    open_logger, needs = LOGGERS[name]
    if name in TRACKERS:
        return Contender(name=name, needs=needs, run=lambda: apart(name, calls))
    return Contender(name=name, needs=needs, run=lambda: logging(open_logger, some(calls)))


def main() -> None:
    """Print the table, the latency and the goals."""
    chosen = options("Scalars", rounds=3, quick=1)
    calls = CALLS // 2 if chosen.quick else CALLS
    contenders = [contender(name, calls) for name in LOGGERS if chosen.only in name]
    measured = interleave(contenders, rounds=chosen.rounds)
    columns = [
        Column("median", "caller, median us", LIST),
        Column("mean", "caller, mean us", OURS),
        Column("readable", "until readable, us a call"),
        Column("bytes", "bytes per value"),
    ]
    print(table("ten values of a step", measured, columns), end="\n\n")
    with folder() as path:
        late = latency(path, calls=200 if chosen.quick else 1000)
    low, high = np.percentile(late, [50, 99])
    print(
        f"From a call until another process sees it: median {low:.1f} ms, 99 % within {high:.1f} ms."
    )
    print()
    found = [
        Goal("caller, median us for ten values", 0.5, measured.best(OURS, "median")),
        Goal("milliseconds until another process sees a value (99 %)", 22, float(high)),
        Goal("bytes per value, compacted", 12, measured.best(OURS_DICT, "bytes")),
    ]
    trackers = [name for name in TRACKERS if name in measured.rounds]
    if trackers:
        best = min(trackers, key=lambda name: measured.best(name, "median"))
        ratio = measured.ratio(OURS, best, "median")
        why = f"A call of {best} only puts the values into a queue; see when they can be read."
        found.append(Goal(f"caller, median / the best tracker's ({best})", 0.01, ratio, why))
    print(goals(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--apart"]:
        name, count, answer = sys.argv[2:]
        figures = logging(LOGGERS[name][0], some(int(count)))
        Path(answer).write_text(json.dumps(figures))
    else:
        main()
