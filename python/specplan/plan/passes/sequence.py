"""Phases in an order in which one undoes, or cannot use, the work of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.plan.passes.order import reachable
from specplan.spec.model import FitSpec, TrainSpec
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.outline import Outline
    from specplan.plan.passes.phase import Parts
    from specplan.plan.passes.schedule import Schedule
    from specplan.spec.diagnostics import Path


def warn_of_sequence(context: Context, parts: Parts, schedule: Schedule) -> None:
    """Warn of phases that should stand after one that follows them."""
    sequence = _Sequence(context, parts, schedule)
    sequence.warn_of_stale_nodes()
    sequence.warn_of_untrained_sources()
    sequence.warn_of_early_evaluation()


class _Sequence:
    """The phases, and what each of them changes of what others learned from."""

    def __init__(self, context: Context, parts: Parts, schedule: Schedule) -> None:
        self.context = context
        self.wired = parts.wired
        self.activity = schedule.activity
        self.outlines = schedule.outlines
        self.trained_at: dict[str | None, dict[str, list[int]]] = {}

    def warn_of_stale_nodes(self) -> None:
        """Nodes that learned from what others gave, and are used after those have changed."""
        learned: dict[str, Outline] = {}
        stale: dict[str, tuple[Outline, Outline]] = {}
        alternating: set[str] = set()
        told: set[tuple[Path, Path]] = set()
        outside: tuple[dict[str, Outline], dict[str, tuple[Outline, Outline]]] = ({}, {})
        undone: str | None = None
        for outline in self.outlines:
            if outline.undone != undone:
                if undone is not None:
                    learned, stale = outside
                outside, undone = (dict(learned), dict(stale)), outline.undone
            for label in outline.learning:
                learned[label] = outline
                if stale.pop(label, None) is not None:
                    alternating.add(label)
            for label in self._outdated(outline):
                if label in learned:
                    stale.setdefault(label, (learned[label], outline))
            used = {*outline.nodes, *(name for item in outline.measured for name in item.nodes)}
            for label in self.wired.order:
                if label not in used or label not in stale:
                    continue
                places = stale[label][0].path, stale[label][1].path
                fitted = isinstance(stale[label][0].spec, FitSpec)
                if places not in told and (fitted or label not in alternating):
                    told.add(places)
                    self._warn_of_stale_node(label, *stale[label])

    def _outdated(self, outline: Outline) -> list[str]:
        """Nodes that read what a phase changes, unless they learn in it or its gradients pass them."""
        changed = set(outline.learning)
        if not changed:
            return []
        wired, minding = self.wired, {*changed, *self.activity.models("torch", outline.nodes)}
        outdated: list[str] = []
        for label in wired.order:
            if not changed.isdisjoint(wired.upstream[label]):
                changed.add(label)
                if label not in minding:
                    outdated.append(label)
        return outdated

    def _warn_of_stale_node(self, label: str, phase: Outline, change: Outline) -> None:
        changed = quoted(
            name for name in change.learning if name in reachable(self.wired.upstream, [label])
        )
        learns = "fits" if isinstance(phase.spec, FitSpec) else "trains"
        changes = "fits" if isinstance(change.spec, FitSpec) else "trains"
        message = (
            f"this phase {learns} {label} on the outputs of {changed}, "
            f"which `{change.label}` {changes} after it"
        )
        hint = f"put it after `{change.label}`"
        also = [(change.place, f"{changes} {changed}")]
        self.context.warning("SP610", message, phase.place, hint=hint, also=also)

    def warn_of_untrained_sources(self) -> None:
        """Train phases that learn from what nodes give before another phase trains these."""
        for index, outline in enumerate(self.outlines):
            if not isinstance(outline.spec, TrainSpec):
                continue
            trained_at = self._trained_at(outline.undone)
            for label in self.activity.models("torch", outline.nodes):
                later = trained_at.get(label, [-1])[0]
                # Nodes that learn once more after that may well have been trained in turns.
                again = any(trained_at[name][-1] >= later for name in outline.learning)
                if later > index and not again:
                    change = self.outlines[later]
                    message = (
                        f"this phase trains {quoted(outline.learning)} with the outputs of "
                        f"`{label}`, which `{change.label}` trains after it"
                    )
                    also = [(change.place, f"trains `{label}`")]
                    hint = f"put it after `{change.label}`"
                    self.context.warning("SP610", message, outline.place, hint=hint, also=also)
                    break

    def _trained_at(self, undone: str | None) -> dict[str, list[int]]:
        """The phases that train each node, of those that last, and of those in the same fold or seed."""
        if undone not in self.trained_at:
            found = self.trained_at.setdefault(undone, {})
            for index, outline in enumerate(self.outlines):
                for label in outline.learning if outline.undone in (None, undone) else ():
                    found.setdefault(label, []).append(index)
        return self.trained_at[undone]

    def warn_of_early_evaluation(self) -> None:
        """Splits on which a node is evaluated before it is trained, and not after."""
        last_measured: dict[tuple[str, str | None], int] = {}
        for index, outline in enumerate(self.outlines):
            for item in outline.measured:
                last_measured.update({(label, item.split): index for label in item.nodes})
        told: set[int] = set()
        for (label, split), index in last_measured.items():
            trained = self._trained_at(self.outlines[index].undone).get(label, [-1])[0]
            if index >= trained or index in told or not self.activity.models("torch", [label]):
                continue
            outline, change = self.outlines[index], self.outlines[trained]
            if label in self.activity.needed(outline.learning):
                continue  # a part that is frozen for now, below one that learns
            if not outline.losses.labels and not outline.metrics.labels:
                continue
            told.add(index)
            rows = "" if split is None else f" on `{split}`"
            message = (
                f"this phase evaluates {label}{rows} before `{change.label}` trains it, "
                "and nothing does so after"
            )
            also = [(change.place, f"trains {label}")]
            hint = f"put it after `{change.label}`"
            self.context.warning("SP611", message, outline.place, hint=hint, also=also)
