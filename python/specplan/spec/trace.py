"""Where a value was written, and what it replaced on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.spec.diagnostics import Origin, Path
    from specplan.spec.source import Source

Cause = Literal["default", "pre", "import", "file", "post", "override", "sweep", "parameter"]
"""What put a value in: a kind of text; or a `{$: params.x}`, which stands for another value."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One of the values that a place of a spec had while it was composed.

    Attributes:
        origin: where it is written; only `path` says something of a default.
        owner: of a default: what has it, a part of the language or a component.
        description: of a default: what the value means.
    """

    cause: Cause
    origin: Origin
    value: Any
    owner: str | None = None
    description: str | None = None


# There are as many as values, and no cycles: the garbage collector would take half the time of composing.
class Trace(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """Where a value stands, and the values in it that stand elsewhere.

    Attributes:
        inner: the path of the value in `source`.
        children: sparse; what is not in it stands below `inner` in the same text.
        replaced: what the value took the place of, oldest first.
        reference: the `{$: params.x}` that the value was put in for.
    """

    source: Source
    inner: Path
    cause: Cause
    children: Mapping[str | int, Trace] = {}
    replaced: tuple[Trace, ...] = ()
    reference: Trace | None = None

    def child(self, part: str | int) -> Trace:
        """The trace of the value under a key or index."""
        known = self.children.get(part)
        if known is not None:
            return known
        return Trace(source=self.source, inner=(*self.inner, part), cause=self.cause)

    def at(self, path: Path) -> Trace:
        """The trace of the value at `path`."""
        trace = self
        for depth, part in enumerate(path):
            known = trace.children.get(part)
            if known is None:
                inner = trace.inner + path[depth:]
                return Trace(source=trace.source, inner=inner, cause=trace.cause)
            trace = known
        return trace

    def reference_at(self, path: Path) -> Trace | None:
        """The reference that put in the value at `path`, or one around it."""
        trace, found = self, self.reference
        for part in path:
            child = trace.children.get(part)
            if child is None:
                break
            trace, found = child, child.reference or found
        return found

    def over(self, below: Trace) -> Trace:
        """This trace for a value that takes the place of the one of `below`."""
        return replace(self, replaced=(below, *self.replaced))

    def grafted(self, grafts: Mapping[Path, Trace]) -> Trace:
        """With other traces at some paths, none of which is inside another."""
        if () in grafts:
            return grafts[()]
        below: dict[str | int, dict[Path, Trace]] = {}
        for path, graft in grafts.items():
            below.setdefault(path[0], {})[path[1:]] = graft
        children = dict(self.children)
        for part, inside in below.items():
            children[part] = self.child(part).grafted(inside)
        return replace(self, children=children)

    def history(self) -> list[Trace]:
        """What the value replaced, oldest first, and the value itself; each place once.

        A file that is imported on several ways appears in the history of a value many times, in files
        that import each other in pairs exponentially often.
        """
        seen: set[tuple[int, Path]] = set()
        newest_first: list[Trace] = []
        pending = [self]
        while pending:
            trace = pending.pop()
            place = (id(trace.source), trace.inner)
            if place not in seen:
                seen.add(place)
                newest_first.append(trace)
                pending.extend(trace.replaced)
        return newest_first[::-1]

    def step(self) -> Step:
        """What is written here."""
        return Step(
            cause=self.cause,
            origin=self.source.origin(self.inner, path=self.inner),
            value=self.source.value_at(self.inner),
        )


def chain(root: Trace, path: Path) -> tuple[Step, ...]:
    """Every value that the place at `path` had, oldest first.

    Of a value that a `{$: params.x}` put in: what the reference replaced, the reference, and the values
    that the parameter had.
    """
    target = root.at(path)
    steps = [trace.step() for trace in target.history()]
    reference = root.reference_at(path)
    if reference is None:
        return tuple(steps)
    history = reference.history() if reference is target.reference else [reference]
    before = [trace.step() for trace in history[:-1]]
    return (*before, replace(reference.step(), cause="parameter"), *steps)


def holds(value: Any, path: Path) -> bool:
    """Whether there is something at `path` of a value."""
    for part in path:
        if isinstance(value, dict):
            known = part in value
        else:
            known = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not known:
            return False
        value = value[part]
    return True
