"""Run tiers of the fault harness and write their figures: `python -m tests.torture`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture import (
    checkpoints,
    compaction,
    disks,
    errors,
    kills,
    lives,
    mutation,
    power,
    programs,
    real_runs,
    replay,
    resumes,
    training,
)
from tests.torture.figures import Row, Size, update
from tests.torture.tools import ROOT, build, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.torture.tools import Tools

    Tier = Callable[[Tools, Size, Path], Iterable[Row]]

PAGE = ROOT / "docs/reliability.md"

TIERS: dict[str, Tier] = {
    "kills": kills.rows,
    "runs": real_runs.rows,
    "power": power.rows,
    "replay": replay.rows,
    "errors": errors.rows,
    "disks": disks.rows,
    "checkpoints": checkpoints.rows,
    "compaction": compaction.rows,
    "training": training.rows,
    "resumes": resumes.rows,
    "programs": programs.rows,
    "mutation": mutation.rows,
    "lives": lives.rows,
}
"""Each is a function of the programs, the size, and a folder to work in; its rows go into the page."""


def main() -> int:
    """Run what was asked for. The exit code says whether every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument(
        "tiers", nargs="*", choices=[[], *TIERS], help="all of them if none is named"
    )
    parser.add_argument("--size", type=Size, choices=Size, default=Size.LONG)
    parser.add_argument("--minutes", type=float, default=60, help="no tier starts after that")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the tables are")
    arguments = parser.parse_args()
    start = time.monotonic()
    broken = 0
    with scratch_folder() as scratch:
        tools = build(scratch, broken=True)
        for name in arguments.tiers or TIERS:
            if time.monotonic() - start > 60 * arguments.minutes:
                print(f"{name}: not started, {arguments.minutes:g} minutes are over")
                broken += 1
                continue
            folder = scratch / name
            folder.mkdir()
            rows = list(TIERS[name](tools, arguments.size, folder))
            for row in rows:
                print(*row, sep="  ", flush=True)
            update(arguments.page, arguments.size, rows)
            broken += sum(row.violations for row in rows)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
