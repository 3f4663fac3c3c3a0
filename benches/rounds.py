"""Interleaved rounds: every contender once a round, in shuffled order, so that noise falls on all alike."""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def interleave(
    contenders: Mapping[str, Callable[[], float]], *, rounds: int, seed: int = 0
) -> dict[str, list[float]]:
    """Call each contender once a round and keep the figure that it returns (lower is better)."""
    order = list(contenders)
    shuffle = random.Random(seed).shuffle
    figures: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            figures[name].append(contenders[name]())
    return figures


def table(
    title: str,
    figures: Mapping[str, list[float]],
    *,
    unit: str,
    baseline: str,
    per_second: str | None = None,
) -> str:
    """A Markdown table: best, median, and the ratio of the bests to the baseline's.

    `per_second` names a further column with the rate of the best, for figures in microseconds.
    """
    best = {name: min(values) for name, values in figures.items()}
    columns = [title, f"best {unit}", f"median {unit}", f"ratio to `{baseline}`"]
    rows = [
        [
            name,
            f"{best[name]:.2f}",
            f"{statistics.median(values):.2f}",
            f"{best[name] / best[baseline]:.2f}",
        ]
        for name, values in figures.items()
    ]
    if per_second is not None:
        columns.append(f"best {per_second}/s")
        for row, name in zip(rows, figures, strict=True):
            row.append(f"{1e6 / best[name]:.0f}")
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
