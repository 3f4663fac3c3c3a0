"""The order in which nodes compute, and the cycles that keep some of them from having one."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path

Upstream = dict[str, tuple[str, ...]]
"""For each node, the nodes that it reads."""


def in_order(context: Context, upstream: Upstream) -> tuple[str, ...]:
    """The nodes in topological order, those of equal rank by name; without those behind a cycle."""
    readers: dict[str, list[str]] = {label: [] for label in upstream}
    for label, before in upstream.items():
        for other in before:
            readers[other].append(label)
    missing = {label: len(before) for label, before in upstream.items()}
    ready = [label for label, count in missing.items() if not count]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        label = heapq.heappop(ready)
        order.append(label)
        for reader in readers[label]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    done = set(order)
    waiting = {label: upstream[label] for label in sorted(upstream.keys() - done)}
    for cycle in _cycles(waiting, done):
        first, *between = cycle[:-1]
        # A cycle is written in the direction of the flow: the first node reads the last one.
        place = _read_at(context, first, cycle[-2])
        also = [(_read_at(context, label, cycle[i]), "and here") for i, label in enumerate(between)]
        context.error("SP305", f"nodes form a cycle: {' -> '.join(cycle)}", place, also=also[:3])
    return tuple(order)


def _read_at(context: Context, label: str, other: str) -> Path:
    """Where one node names another that it reads."""
    path: Path = ("graph", "nodes", label, "input")
    written = context.written(path)
    if isinstance(written, list) and other in written:
        return (*path, written.index(other))
    return path


def reachable(upstream: Mapping[str, Iterable[str]], start: Iterable[str]) -> set[str]:
    """`start` and all nodes that they read, directly or through others."""
    found: set[str] = set()
    waiting = [label for label in start if label in upstream]
    while waiting:
        label = waiting.pop()
        if label not in found:
            found.add(label)
            waiting += upstream[label]
    return found


def _cycles(waiting: Upstream, done: set[str]) -> Iterator[list[str]]:
    """The cycles that one reaches against the flow, each once, in the direction of the flow."""
    seen: set[str] = set()
    for start in waiting:
        label = start
        walk: dict[str, int] = {}
        while label not in seen and label not in walk:
            walk[label] = len(walk)
            label = min(before for before in waiting[label] if before not in done)
        if label in walk:
            cycle = list(walk)[walk[label] :][::-1]
            first = cycle.index(min(cycle))
            yield [*cycle[first:], *cycle[:first], cycle[first]]
        seen |= walk.keys()
