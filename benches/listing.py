"""`mlx list` in a root of 10,000 runs: milliseconds of a whole process, with an index and without.

The runs are copies of one that a program drove, with params, a metric and a name of their own.
Run: `.venv/bin/python benches/listing.py [--quick]`.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from command import process
from rounds import Column, Contender, Goal, folder, goals, interleave, options, table

from specplan.results.status import read_run_file
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder, index_file
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLAIN = "**mlx list**, 10,000 runs"
ASKED = "**mlx list --where** params and metrics, 10,000 runs"
COLD = "mlx list, the index is gone"


def fill(root: Path, count: int) -> None:
    """Write runs in 20 experiments. The files that never differ are links to those of the first."""
    run = TrackedRun.start(root / "template", "template")
    run.set_params({"lr": 0.1, "net": {"width": 8, "depth": 2}, "seed": 1})
    for step in range(10):
        run.log_metrics({"loss": 1 / (step + 1), "accuracy": step / 10}, step=step)
    run.end()
    source = run.folder
    run_file = read_run_file(source)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    files = [path for path in source.path.rglob("*") if path.is_file() and path != source.run_file]
    for number in range(count):
        at = begun + timedelta(seconds=number)
        run_id = f"{at:%Y%m%d-%H%M%S}"
        target = RunFolder(root / f"study-{number % 20:02d}" / run_id)
        for path in files:
            place = target.path / path.relative_to(source.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            if path != source.params_file:
                place.hardlink_to(path)
        target.params_file.write_bytes(msgspec.json.encode({**run.params, "lr": number / count}))
        changed = msgspec.structs.replace(
            run_file,
            run_id=run_id,
            experiment=target.path.parent.name,
            version=number // 20 + 1,
            created_at=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        target.run_file.write_bytes(encode_checked(changed))


def contenders(root: Path) -> list[Contender]:
    """The list as it is asked for, and with nothing known before."""
    mlx = [sys.executable, "-c", "from specplan.cli.start import main; main()", "list"]
    place = ["--root", os.fspath(root)]
    condition = "params.lr < 0.5 and metrics.loss < 0.5"

    index = index_file(root)

    def contender(name: str, *arguments: str, knows: bool = True) -> Contender:
        def run() -> Mapping[str, float]:
            kept = index.read_bytes() if index.exists() else b""
            if not knows:
                index.unlink(missing_ok=True)
            measured = process([*mlx, *place, *arguments], root)
            if kept and not knows:
                index.write_bytes(kept)
            return measured

        return Contender(name=name, needs=None, run=run)

    return [
        contender(PLAIN),
        contender(ASKED, "--where", condition, "--limit", "20"),
        contender(COLD, knows=False),
    ]


def main() -> None:
    """Print the table, and the goal."""
    chosen = options("Lists of runs", rounds=5, quick=1)
    with folder() as place:
        fill(place, 10_000)
        time.sleep(2.5)  # younger files are not kept in an index
        measured = interleave(contenders(place), rounds=chosen.rounds, warm_ups=1)
    columns = [Column("clock", "ms of a process", PLAIN), Column("processor", "CPU, ms")]
    print(table("listing", measured, columns), end="\n\n")
    print(goals([Goal("list 10,000 runs, ms", 1000, measured.best(PLAIN, "clock"))]))


if __name__ == "__main__":
    main()
