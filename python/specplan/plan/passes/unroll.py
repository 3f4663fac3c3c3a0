"""Pass: groups that are run several times, or only under a condition, as a list of phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.components.repetition import Folds, Seeds
from specplan.plan.model import Guard, Pass
from specplan.plan.passes.conditions import Conditions
from specplan.plan.passes.folds import Cut, Cutter
from specplan.plan.streams import written_seed_of
from specplan.spec.model import CallSpec, GroupSpec, PhaseSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.plan.model import Fold, Phase
    from specplan.plan.passes.activity import Activity
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import Entry

MOST_PHASES = 10_000
"""Phases of a plan. Each has its line in run.json and its folders of records."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the phases of a group, in one pass.

    Attributes:
        labels: those of the groups and passes around; `pass_labels` are the indexes of the passes.
        cuts: by FeatureSet, the splits of the innermost fold that cuts it.
        uncertain: whether a fault hides which splits there are.
        again: whether the same phases were looked at before, in another pass.
        alike: whether a pass before says all there is to say of these phases. Of passes that go on from one
            another the second is not like the first.
    """

    labels: tuple[str, ...] = ()
    pass_labels: frozenset[int] = frozenset()
    passes: tuple[Pass, ...] = ()
    guards: tuple[Guard, ...] = ()
    cuts: dict[str, Cut] = {}
    uncertain: bool = False
    again: bool = False
    alike: bool = False


class Step(Scope, frozen=True, kw_only=True):
    """One phase to be scheduled. `place` is where the spec has it; `labels` end with its own."""

    spec: PhaseSpec | CallSpec
    place: Path

    @property
    def path(self) -> str:
        """The path of the phase in the plan."""
        return ".".join(self.labels)


class Unrolling:
    """Gives the phases one after the other; each has to be scheduled before the next is asked for.

    What a condition names must have been scheduled, and what is fitted is followed along."""

    def __init__(
        self,
        context: Context,
        resolved: Resolved,
        data: Mapping[str, FeatureSet],
        activity: Activity,
    ) -> None:
        self._context = context
        self._resolved = resolved
        self._activity = activity
        self._cutter = Cutter(context, data)
        self._conditions = Conditions(context)

    @property
    def folds(self) -> dict[str, dict[str, Fold]]:
        """The folds that were cut, by FeatureSet and path of the pass."""
        return self._cutter.folds

    @property
    def pooled(self) -> dict[str, set[str | None]]:
        """The splits that are cut into folds, by FeatureSet; None for all rows."""
        return self._cutter.pooled

    @property
    def fold_places(self) -> dict[str, Path]:
        """Where the spec says that a group is run for folds, by the path of the group."""
        return self._cutter.places

    def steps(self) -> Iterator[Step]:
        """Every phase of every pass; none where there are too many."""
        spec = self._context.spec
        counts = [self._count(entry, ("plan", index)) for index, entry in enumerate(spec.plan)]
        if sum(counts) > MOST_PHASES:
            largest = counts.index(max(counts))
            message = f"the plan would have {sum(counts):,} phases, most of them in this entry"
            hint = f"it may have {MOST_PHASES:,}; groups inside groups multiply"
            self._context.error("SP715", message, ("plan", largest), hint=hint)
            return
        yield from self._entries(spec.plan, ("plan",), Scope())

    def scheduled(self, step: Step, phase: Phase | None) -> None:
        """What became of a step: None where a fault keeps it out of the plan."""
        self._conditions.scheduled(step, phase)

    def _count(self, entry: Entry, place: Path) -> int:
        if not isinstance(entry, GroupSpec):
            return 1
        inside = sum(
            self._count(inner, (*place, "do", index)) for index, inner in enumerate(entry.do)
        )
        return inside * self._times(entry, place)

    def _times(self, group: GroupSpec, place: Path) -> int:
        if group.repeat is not None:
            return group.repeat.max
        component = self._resolved.get((*place, "for_each"))
        return component.n if isinstance(component, Folds | Seeds) else 1

    def _entries(self, entries: tuple[Entry, ...], path: Path, scope: Scope) -> Iterator[Step]:
        for index, entry in enumerate(entries):
            place = (*path, index)
            inside = self._guarded(entry, place, scope)
            if isinstance(entry, GroupSpec):
                inside = _inside(inside, entry.group)
                yield from self._group(entry, place, inside)
            else:
                known = msgspec.structs.asdict(_inside(inside, entry.label))
                yield Step(**known, spec=entry, place=place)

    def _guarded(self, entry: Entry, place: Path, scope: Scope) -> Scope:
        if entry.when is None:
            return scope
        guard = self._conditions.when(entry.when, (*place, "when"), scope.labels)
        if guard is None or guard in scope.guards:
            return scope
        return msgspec.structs.replace(scope, guards=(*scope.guards, guard))

    def _group(self, group: GroupSpec, place: Path, scope: Scope) -> Iterator[Step]:
        component = self._resolved.get((*place, "for_each"))
        if isinstance(component, Folds | Seeds):
            yield from self._each(group, component, place, scope)
        elif group.repeat is not None:
            yield from self._repeated(group, place, scope)
        else:
            # A `for_each` that is faulty might have named splits, and would forget what was fitted.
            faulty = self._context.damaged((*place, "for_each"))
            inside = msgspec.structs.replace(scope, uncertain=scope.uncertain or faulty)
            known = self._activity.known_fits()
            yield from self._entries(group.do, (*place, "do"), inside)
            if faulty:
                self._activity.go_back(known)

    def _each(
        self, group: GroupSpec, component: Folds | Seeds, place: Path, scope: Scope
    ) -> Iterator[Step]:
        path = ".".join(scope.labels)
        cuts = None
        if isinstance(component, Folds):
            cuts = self._cutter.cut(component, (*place, "for_each"), path, scope.cuts)
        known = self._activity.known_fits()
        for index in range(component.n):
            if isinstance(component, Folds):
                number = Pass(group=path, kind="fold", index=index, of=component.n)
            else:
                seed = written_seed_of(self._context.spec.run.seed, f"seeds/{path}/{index}")
                number = Pass(group=path, kind="seed", index=index, of=component.n, seed=seed)
            inside = _in_pass(scope, number)
            if cuts is not None:
                own = {cut.feature_set: cut for cut in cuts[index]}
                inside = msgspec.structs.replace(inside, cuts={**inside.cuts, **own})
            elif isinstance(component, Folds):
                inside = msgspec.structs.replace(inside, uncertain=True)
            yield from self._entries(group.do, (*place, "do"), inside)
            self._activity.go_back(known)

    def _repeated(self, group: GroupSpec, place: Path, scope: Scope) -> Iterator[Step]:
        assert group.repeat is not None
        path = ".".join(scope.labels)
        guards = scope.guards
        for index in range(group.repeat.max):
            number = Pass(group=path, kind="pass", index=index, of=group.repeat.max)
            inside = _in_pass(scope, number)
            yield from self._entries(
                group.do, (*place, "do"), msgspec.structs.replace(inside, guards=guards)
            )
            if group.repeat.until is None:
                continue
            until = (*place, "repeat", "until")
            guard = self._conditions.until(group.repeat.until, until, inside.labels, guards)
            guards = scope.guards if guard is None else (*scope.guards, guard)


def _inside(scope: Scope, label: str) -> Scope:
    return msgspec.structs.replace(scope, labels=(*scope.labels, label))


def _in_pass(scope: Scope, number: Pass) -> Scope:
    return msgspec.structs.replace(
        _inside(scope, f"{number.kind}_{number.index}"),
        pass_labels=scope.pass_labels | {len(scope.labels)},
        passes=(*scope.passes, number),
        again=scope.again or number.index > 0,
        alike=scope.alike or number.index > (1 if number.kind == "pass" else 0),
    )
