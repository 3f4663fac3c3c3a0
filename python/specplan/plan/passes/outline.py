"""What a phase does, as far as it is known: also where rows are not, and no phase of a plan can be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from specplan.plan.passes.objectives import Chosen
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import PhaseSpec


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that nodes compute on without learning: of an eval phase, or of an evaluation between epochs."""

    path: Path
    split: str | None
    nodes: tuple[str, ...]


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """One phase.

    Attributes:
        label: its own label with those of the groups around it.
        source: the FeatureSet that it reads; read: it with the split, and others that a train phase reads.
        nodes: those that compute; learning: those of them that are trained or fitted.
        measured: what it measures on rows that it does not learn from.
        undone: the fold or seed that it is in, after which what was learned is as it was before.
    """

    path: Path
    label: str
    spec: PhaseSpec
    source: str | None
    read: tuple[tuple[str, str | None], ...] = ()
    nodes: tuple[str, ...]
    learning: tuple[str, ...] = ()
    losses: Chosen
    metrics: Chosen
    measured: tuple[Measured, ...] = ()
    undone: str | None = None

    @property
    def split(self) -> str | None:
        """The split of the source; None for all rows."""
        return self.read[0][1] if self.read else self.spec.split

    @property
    def place(self) -> Path:
        """Where the spec names the phase: a short text to put a caret under."""
        return (*self.path, "label")
