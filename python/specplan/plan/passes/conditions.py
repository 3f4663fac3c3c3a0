"""Conditions on metrics of earlier phases: what `when` and `until` name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from specplan.plan.model import Guard
from specplan.spec.condition import ConditionError, parse_condition
from specplan.spec.model import GroupSpec
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.plan.model import Phase
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.unroll import Step
    from specplan.spec.condition import Condition
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import Entry

Labels = tuple[str, ...]
_MOST_LISTED = 12
_NUMBERED = re.compile(r"(?<=fold_|seed_|pass_)\d+")


class _Earlier(msgspec.Struct, frozen=True):
    """A phase that comes before: None for one that a fault keeps out of the plan."""

    step: Step
    phase: Phase | None


class Conditions:
    """Resolves conditions against the phases that were scheduled so far, pass by pass."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._labels_are_wrong = any(
            fault.code == "SP304" and fault.origin.path[:1] == ("plan",)
            for fault in context.diagnostics
        )
        self._earlier: list[_Earlier] = []
        # By the labels of a group around it, and by how a condition inside that group may call it.
        self._by_name: dict[tuple[Labels, str], list[_Earlier]] = {}

    def scheduled(self, step: Step, phase: Phase | None) -> None:
        """A phase that later conditions may name."""
        earlier = _Earlier(step, phase)
        self._earlier.append(earlier)
        for cut in range(len(step.labels)):
            for name in {_name(step, cut, every=True), _name(step, cut, every=False)}:
                self._by_name.setdefault((step.labels[:cut], name), []).append(earlier)

    def when(self, text: str, place: Path, around: Labels) -> Guard | None:
        """The guard of a phase or group inside the groups `around`; None where it is faulty."""
        condition = self._parsed(text, place)
        found = self._find(condition, place, around) if condition is not None else []
        if condition is None or not found:
            return None
        if self._is_ambiguous(condition, place, found, around):
            return None
        return self._guard(condition, place, found, holds=True)

    def until(
        self, text: str, place: Path, around: Labels, guards: Sequence[Guard]
    ) -> Guard | None:
        """What the next pass over a group waits for, after the pass with the labels `around`."""
        condition = self._parsed(text, place)
        found = self._find(condition, place, around) if condition is not None else []
        if condition is None or not found:
            return None
        inside = [one for one in found if one.step.labels[: len(around)] == around]
        if not inside:
            message = f"`{condition.phase}` is no phase of this group: its metrics stay as they are"
            self._error("SP713", message, place, condition.phase_span)
            return None
        if self._is_ambiguous(condition, place, inside, around):
            return None
        if not any(set(guards).issuperset(one.step.guards) for one in inside):
            message = f"`{condition.phase}` may be skipped, and then nothing says when to end"
            self._error("SP713", message, place, condition.phase_span)
            return None
        return self._guard(condition, place, inside, holds=False)

    def _is_ambiguous(
        self, condition: Condition, place: Path, found: list[_Earlier], around: Labels
    ) -> bool:
        """Report a name that means a phase of several folds or seeds; of a repeated one the last counts."""
        crossed = {each.kind for one in found for each in one.step.passes[_common(one, around) :]}
        if len(found) == 1 or crossed == {"pass"}:
            return False
        message = f"`{condition.phase}` is run {len(found)} times"
        hint = f"say which: `{found[-1].step.path}`"
        self._error("SP713", message, place, condition.phase_span, hint)
        return True

    def _parsed(self, text: str, place: Path) -> Condition | None:
        try:
            return parse_condition(text)
        except ConditionError as error:
            self._error("SP710", str(error), place, error.span, error.hint)
            return None

    def _find(self, condition: Condition, place: Path, around: Labels) -> list[_Earlier]:
        for length in range(len(around), -1, -1):
            found = self._by_name.get((around[:length], condition.phase))
            if found:
                return found
        # A phase that a fault took out, or whose label is another's, might have been the one.
        if not self._context.damaged(("plan",)) and not self._labels_are_wrong:
            self._refuse_unknown(condition, place, around)
        return []

    def _refuse_unknown(self, condition: Condition, place: Path, around: Labels) -> None:
        named = [self._shortest(one, around) for one in self._earlier]
        message = f"there is no phase `{condition.phase}` before; before: {_spans(named)}"
        hint = did_you_mean(condition.phase, dict.fromkeys(named))
        also = []
        places = _places(self._context.spec.plan, condition.phase, ("plan",), "")
        later = [path for path in places if _indexes(path) >= _indexes(place)]
        if later:
            message = f"phase `{condition.phase}` does not come before this condition"
            hint = "a condition names a phase that has ended by then"
            also = [(later[0], "the phase")]
        self._error("SP711", message, place, condition.phase_span, hint, also)

    def _shortest(self, earlier: _Earlier, around: Labels) -> str:
        """How a condition inside `around` would call a phase."""
        cut = 0
        for one, other in zip(earlier.step.labels[:-1], around, strict=False):
            if one != other:
                break
            cut += 1
        inner = earlier.step.passes[_common(earlier, around) :]
        return _name(earlier.step, cut, every=any(each.kind != "pass" for each in inner))

    def _guard(
        self, condition: Condition, place: Path, found: list[_Earlier], *, holds: bool
    ) -> Guard | None:
        for one in found:
            if one.phase is None:
                return None
            measured = one.phase.measured
            if condition.metric not in measured:
                message = (
                    f"`{condition.phase}` does not end with a metric `{condition.metric}`; "
                    f"it has {quoted(measured) or 'none'}"
                )
                hint = did_you_mean(condition.metric, measured)
                self._error("SP712", message, place, condition.metric_span, hint)
                return None
        return Guard(
            phases=tuple(one.step.path for one in found),
            metric=condition.metric,
            op=condition.op,
            value=condition.value,
            holds=holds,
        )

    def _error(
        self,
        code: str,
        message: str,
        place: Path,
        span: tuple[int, int],
        hint: str | None = None,
        also: Sequence[tuple[Path, str]] = (),
    ) -> None:
        self._context.error(code, message, place, hint=hint, also=also, within=span)


def _spans(names: Sequence[str]) -> str:
    """Names of phases, those of the passes over a group as `cv.fold_0.val` to `cv.fold_4.val`."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(_NUMBERED.sub("", name), []).append(name)
    said = [
        f"`{same[0]}`" if len(same) == 1 else f"`{same[0]}` to `{same[-1]}`"
        for same in alike.values()
    ]
    more = f" and {len(said) - _MOST_LISTED} more" if len(said) > _MOST_LISTED else ""
    return (", ".join(said[:_MOST_LISTED]) + more) or "none"


def _indexes(path: Path) -> list[int]:
    return [part for part in path if isinstance(part, int)]


def _places(entries: Sequence[Entry], name: str, path: Path, around: str) -> list[Path]:
    """The phases of a spec that may be called so."""
    found: list[Path] = []
    for index, entry in enumerate(entries):
        if isinstance(entry, GroupSpec):
            inside = (*path, index, "do")
            found += _places(entry.do, name, inside, f"{around}.{entry.group}")
        elif f"{around}.{entry.label}".endswith(f".{name}"):
            found.append((*path, index, "label"))
    return found


def _name(step: Step, cut: int, *, every: bool) -> str:
    """A phase as seen from the group of its first `cut` labels, with the labels of passes or without."""
    rest = [
        label
        for index, label in enumerate(step.labels[cut:], cut)
        if every or index not in step.pass_labels
    ]
    return ".".join(rest)


def _common(earlier: _Earlier, around: Labels) -> int:
    """How many passes of a phase are also around the condition."""
    paths = {".".join(around[:length]) for length in range(1, len(around) + 1)}
    return sum(each.path in paths for each in earlier.step.passes)
