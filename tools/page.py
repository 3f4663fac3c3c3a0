"""What the tools that write a page of docs/ have in common."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def write_or_check(name: str, text: str) -> int:
    """Write a page of docs/; with `--check` only say whether it would change. Returns the exit code."""
    parser = argparse.ArgumentParser(description=f"Write docs/{name}.")
    parser.add_argument("--check", action="store_true", help="change nothing, report drift")
    check: bool = parser.parse_args().check
    page = DOCS / name
    if page.is_file() and page.read_text(encoding="utf-8") == text:
        return 0
    state = "is out of date; run `make generate`" if check else "written"
    sys.stderr.write(f"docs/{name} {state}\n")
    if not check:
        page.write_text(text, encoding="utf-8")
    return 1 if check else 0
