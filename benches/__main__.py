"""Runs the benches and writes what they print into RESULTS.md.

Run: `make bench`, or `.venv-bench/bin/python benches [--quick] [SCRIPT...]`. With names of scripts only their
sections are measured anew; with `--quick` everything is printed and nothing is written.
"""

from __future__ import annotations

import ast
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
SCRIPTS = [
    "record",
    "scalars",
    "read",
    "parquet_export",
    "training_loop",
    "digits",
    "inner_loop",
    "command",
    "listing",
]
OWN = ["numpy", "torch", "pyarrow", "polars"]

HEAD = """# Results

`make bench-peers` installs what we compare with, `make bench` writes this page: every section is what its script
printed. Read ratios, not digits: contenders run in one process, once a round in shuffled order, so that what else
the machine does falls on all alike. A figure is the best of all rounds, with their median in brackets; `x NAME` is
the ratio of the best to NAME's best. Lower is better everywhere. A peer that is not installed is listed as such.
"""


def machine() -> str:
    """What the figures of a section were measured on."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    lines = (HERE / "requirements.txt").read_text().splitlines()
    peers = [line for line in lines if not line.startswith("#")]
    versions = [f"Python {platform.python_version()}"]
    for name in [*OWN, *peers]:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    return (
        f"{os.cpu_count()} processors, {platform.system()} {platform.release()}, "
        f"load {load} when it ended. {', '.join(versions)}."
    )


def section(script: str, *, quick: bool) -> str:
    """Run one script; returns its section."""
    path = HERE / f"{script}.py"
    title = ast.get_docstring(ast.parse(path.read_text())) or script
    options = ["--quick"] if quick else []
    command = [sys.executable, "-W", "ignore", str(path), *options]
    print(f"==> {script}", file=sys.stderr)
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    measured = f"Measured with `{' '.join([f'benches/{script}.py', *options])}` on {machine()}"
    return f"## {script}\n\n{title}\n\n{measured}\n\n{printed.strip()}\n"


def sections() -> dict[str, str]:
    """The sections that RESULTS.md has, by script."""
    if not RESULTS.exists():
        return {}
    parts = RESULTS.read_text().split("\n## ")[1:]
    return {part.split("\n", 1)[0]: f"## {part.strip()}\n" for part in parts}


def main() -> None:
    """Measure, then print or write."""
    quick = "--quick" in sys.argv
    chosen = [name for name in sys.argv[1:] if name != "--quick"] or SCRIPTS
    if quick:
        for script in chosen:
            print(section(script, quick=True))
        return
    for script in chosen:
        known = sections()
        known[script] = section(script, quick=False)
        ordered = [known[name] for name in SCRIPTS if name in known]
        RESULTS.write_text("\n".join([HEAD, *ordered]))


if __name__ == "__main__":
    main()
