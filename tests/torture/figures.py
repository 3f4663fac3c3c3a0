"""The tables of `docs/reliability.md`: rows that the tiers return, written between two markers."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Size(enum.StrEnum):
    """How much is tried: in `make test`, or in `make torture`."""

    QUICK = "quick"
    LONG = "long"


class Row(NamedTuple):
    """What one test has seen.

    `trials` is None where the machine lacks what the test needs; `facts` then says what that is.
    """

    promise: str
    test: str
    trials: int | None
    violations: int
    facts: str
    command: str


HEADINGS = ("Promise", "Test", "Trials", "Not kept", "Facts", "Command")


def update(page: Path, size: Size, rows: Iterable[Row]) -> None:
    """Write rows into the table of that size; those of other commands stay."""
    text = page.read_text(encoding="utf-8")
    start, end = f"<!-- figures: {size} -->\n", "<!-- end of figures -->"
    before, table, after = _split(text, start, end)
    new = [_cells(row) for row in rows]
    written = {(cells[0], cells[1]) for cells in new}
    kept = [cells for cells in _parse(table) if (cells[0], cells[1]) not in written]
    lines = sorted(kept + new, key=_order)
    content = "".join(_line(cells) for cells in [HEADINGS, ("---",) * len(HEADINGS), *lines])
    page.write_text(before + start + content + end + after, encoding="utf-8")


def _split(text: str, start: str, end: str) -> tuple[str, str, str]:
    before, _, rest = text.partition(start)
    table, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no table between {start.strip()!r} and {end!r}")
    return before, table, after


def _parse(table: str) -> list[tuple[str, ...]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def _cells(row: Row) -> tuple[str, ...]:
    ran = row.trials is not None
    trials = f"{row.trials:,}" if ran else "not run"
    violations = f"{row.violations:,}" if ran else ""
    return (row.promise, row.test, trials, violations, row.facts, f"`{row.command}`")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _order(cells: tuple[str, ...]) -> tuple[int, str]:
    number = re.match(r"P(\d+)", cells[0])
    return (int(number[1]) if number else 99, "".join(cells[:2]))
