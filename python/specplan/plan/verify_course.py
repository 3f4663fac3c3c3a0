"""The check of what a plan file says of passes, conditions and folds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from specplan.data.folds import part_sizes
from specplan.errors import PlanError

if TYPE_CHECKING:
    from specplan.plan.model import Data, Fold, Guard, Pass, Phase, Plan


def expect(place: str, fault: str, *, that: bool) -> None:
    """Raises PlanError unless `that` holds."""
    if not that:
        raise PlanError(f"{place} {fault}")


def check_course(plan: Plan) -> None:
    """Check that passes follow each other and that conditions look back.

    Raises:
        PlanError: naming the phase where they do not.
    """
    earlier: dict[str, Phase] = {}
    begun: dict[str, Pass] = {}
    before: tuple[Pass, ...] = ()
    for position, phase in enumerate(plan.phases):
        place = f"phases[{position}]"
        around = ""
        for each in phase.passes:
            inside = each.group.startswith(around) and phase.path.startswith(f"{each.path}.")
            expect(place, f"is not in the pass {each.path}", that=inside)
            around = f"{each.path}."
            _check_pass(each, begun, before, place)
        for guard in phase.guards:
            _check_guard(guard, earlier, place)
        earlier[phase.path] = phase
        before = phase.passes


def _check_pass(each: Pass, begun: dict[str, Pass], before: tuple[Pass, ...], place: str) -> None:
    possible = 0 <= each.index < each.of and (each.seed is not None) == (each.kind == "seed")
    expect(place, f"has the impossible pass {each.path}", that=possible)
    if each in before:
        return
    last = begun.get(each.group)
    follows = each.index == 0 if last is None else _follows(each, last) and last in before
    expect(place, f"begins the pass {each.path} out of order", that=follows)
    begun[each.group] = each


def _follows(each: Pass, last: Pass) -> bool:
    return (each.kind, each.of, each.index) == (last.kind, last.of, last.index + 1)


def _check_guard(guard: Guard, earlier: dict[str, Phase], place: str) -> None:
    expect(place, "has a condition on no phase", that=bool(guard.phases))
    expect(place, "has a condition with no number", that=math.isfinite(guard.value))
    for path in guard.phases:
        phase = earlier.get(path)
        expect(
            place, f"has a condition on {path}, which is no phase before", that=phase is not None
        )
        known = phase is not None and guard.metric in phase.measured
        expect(
            place, f"has a condition on {guard.metric}, which {path} does not measure", that=known
        )


def check_folds(data: Data, place: str) -> None:
    """Check that each fold cuts rows that there are.

    Raises:
        PlanError: naming the fold that does not.
    """
    for path, fold in data.folds.items():
        where = f"{place}.folds.{path}"
        around = fold.within is None or (
            fold.within in data.folds and path.startswith(f"{fold.within}.")
        )
        expect(where, f"is not within {fold.within}", that=around)
        expect(where, "has an impossible number", that=0 <= fold.index < fold.n and fold.n > 1)
        expect(where, "has an impossible seed", that=fold.seed is None or fold.seed >= 0)
        expect(where, "calls both parts alike", that=fold.train.name != fold.val.name)
        expect(
            where,
            "has both groups and strata",
            that=not (fold.group_by and fold.stratify_by),
        )
        free = fold.seed is None and not fold.key_columns
        expect(where, "keeps an order that it does not have", that=free or not fold.ordered)
        known = data.columns.keys() >= set(fold.key_columns)
        expect(where, "has keys that are no columns", that=known)
        _check_sizes(data, fold, where)


def _check_sizes(data: Data, fold: Fold, place: str) -> None:
    sizes = data.sizes_in(data.folds[fold.within] if fold.within is not None else None)
    known = sizes.keys() >= set(fold.of) and len(set(fold.of)) == len(fold.of)
    expect(place, "pools unknown splits", that=known)
    rows = sum(sizes[name] for name in fold.of) if fold.of else data.rows
    expect(place, "has more folds than rows", that=fold.n + fold.ordered <= rows)
    sizes_of_parts = part_sizes(rows, fold.n, fold.index, ordered=fold.ordered)
    if fold.key_columns:
        sizes_of_parts = (rows - fold.val.rows, fold.val.rows)
    expect(place, "has an empty part", that=min(sizes_of_parts) > 0)
    right = (fold.train.rows, fold.val.rows) == sizes_of_parts
    expect(place, "has parts of other sizes", that=right)
