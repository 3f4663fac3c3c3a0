"""What a run costs its program: kept in files, and sent to a server as well, which answers or does not.

python -m benches.hybrid [ROWS]
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from specplan import Experiment
from specplan.track import background

if TYPE_CHECKING:
    from collections.abc import Iterator

REPEATS = 5
DEAD = "http://127.0.0.1:9"
"""Nothing listens there."""


def main() -> None:
    """Measure, and print a table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    os.environ["SPECPLAN_TOKEN"] = secrets.token_urlsafe(16)
    logging.disable()  # that the server lacks something is known here
    background.PATIENCE = 0.0
    print(
        f"{rows} rows of four fields, median of {REPEATS} runs; microseconds a row, and seconds to end the run"
    )
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder) / "server") as url:
        found: dict[str, list[tuple[float, float]]] = {"local": [], "hybrid": [], "no answer": []}
        for turn in range(REPEATS):
            for name, address in (("local", None), ("hybrid", url), ("no answer", DEAD)):
                place = Path(folder) / name / str(turn)
                found[name].append(_measure(address, place, rows))
    for name, pairs in found.items():
        each, end = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"{name:10} {each * 1e6 / rows:7.1f} {end:7.2f}")


def _measure(url: str | None, place: Path, rows: int) -> tuple[float, float]:
    """Seconds for all rows, and for the end of the run."""
    with Experiment(f"bench/hybrid/{place.name}", dash_url=url, dash_root=place).run as exp:
        train = exp.metrics("train")
        train.log(loss=1.0, accuracy=0.0, rate=0.1, step=0)
        started = time.perf_counter()
        for step in range(1, rows):
            train.log(loss=1 / step, accuracy=0.5, rate=0.1, step=step)
        logged = time.perf_counter()
    return logged - started, time.perf_counter() - logged


@contextlib.contextmanager
def _server(root: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "specplan.cli.main",
        "serve",
        str(root),
        "--port",
        "0",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
