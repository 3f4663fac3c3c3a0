"""Cross-validation by groups and strata: the columns that decide it, and the sizes that follow from their values."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from specplan.data.split import listed, too_small
from specplan.errors import DataError
from specplan.plan.fold_rows import FoldRows
from specplan.plan.passes.splits import Rows, check_column, keys_in
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from specplan._native import Keys
    from specplan.components.repetition import Folds
    from specplan.plan.model import Fold
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.spec.diagnostics import Path

# A fold that leaves out this many times more or fewer rows than the others is worth a warning.
_FAR_OFF = 2


class FoldKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The columns whose values decide which rows are left out together, or evenly.

    Attributes:
        path: where they are written: at the folds or at the splitter.
    """

    group_by: tuple[str, ...] = ()
    stratify_by: tuple[str, ...] = ()
    path: Path = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of either kind."""
        return self.group_by or self.stratify_by


def fold_keys(
    context: Context, feature_set: FeatureSet, folds: Folds, place: Path
) -> FoldKeys | None:
    """What the folds say of groups and strata, or else the splitter; None where it is wrong."""
    around: Path = ("data", feature_set.label, "splits")
    if context.damaged(around):
        return FoldKeys()
    written = context.spec.data[feature_set.label].splits or {}
    groups, group_place = listed(folds.group_by or ()), (*place, "group_by")
    strata, stratum_place = listed(folds.stratify_by or ()), (*place, "stratify_by")
    if folds.group_by is None and not strata:
        groups, group_place = listed(written.get("group_by", ())), (*around, "group_by")
    if folds.stratify_by is None and not groups:
        strata, stratum_place = listed(written.get("stratify_by", ())), (*around, "stratify_by")
    parted = written.get("group_by") if strata and folds.group_by is None else None
    if strata and (groups or parted):
        message = "`group_by` and `stratify_by` cannot be had together"
        place_of = (*around, "group_by") if parted else group_place
        also = [(place_of, "groups are kept together here")]
        hint = "`group_by: []` here parts the groups" if parted else "remove one of the two"
        context.error("SP510", message, stratum_place, also=also, hint=hint)
        return None
    path = group_place if groups else stratum_place
    if folds.ordered and (groups or strata):
        said = "group_by" if groups else "stratify_by"
        here = path[: len(place)] == place
        hint = "remove one of the two" if here else f"`{said}: []` here does without it"
        message = f"`ordered` folds are cut by the order of rows, not by `{said}`"
        context.error("SP510", message, (*place, "ordered"), hint=hint, also=[(path, "said here")])
        return None
    if path[0] != "data" and not _are_keys(context, feature_set, groups or strata, path):
        return None
    return FoldKeys(group_by=tuple(groups), stratify_by=tuple(strata), path=path)


def _are_keys(
    context: Context, feature_set: FeatureSet, names: tuple[str, ...], path: Path
) -> bool:
    rows = Rows(
        label=feature_set.label,
        spec=context.spec.data[feature_set.label],
        table=feature_set.table,
        rows=feature_set.rows,
        columns=feature_set.columns,
    )
    right = [check_column(context, str(path[-1]), name, path, rows) for name in names]
    # Where nothing could be read, nothing is known to be wrong.
    return all(right) or feature_set.table is None


def warn_of_parted_groups(
    context: Context, feature_set: FeatureSet, keys: FoldKeys, of: tuple[str, ...], place: Path
) -> None:
    """Warn of groups that folds keep together and the splits around them do not."""
    rows = rows_in(feature_set, {})
    splits = context.spec.data[feature_set.label].splits or {}
    if rows is None or not rows.splits or not of or splits.get("leaks") == "allow":
        return
    known = rows.keys(keys.group_by)
    inside = _groups(known, rows.pool(of, None))
    for name, positions in rows.splits.items():
        shared = sorted(inside & _groups(known, positions)) if name not in of else []
        if not shared:
            continue
        plural = "s" if len(shared) > 1 else ""
        message = (
            f"split `{name}` has rows of {len(shared)} group{plural} of {quoted(keys.group_by)} "
            f"that the folds learn from, such as {' and '.join(shared[0])}"
        )
        hint = "split by these groups too, with `group_by` of `random`, or say `leaks: allow` there"
        also = [(("data", feature_set.label, "splits"), "the splits")]
        context.warning("SP519", message, place, hint=hint, also=also)


def _groups(keys: Keys, rows: NDArray[np.int64]) -> set[tuple[str, ...]]:
    found = keys.among(rows)
    return {tuple(found.texts(index)) for index in range(len(found.counts))}


def rows_in(feature_set: FeatureSet, folds: Mapping[str, Fold]) -> FoldRows | None:
    """Which rows the splits of a FeatureSet have inside folds; None where nothing could be read."""
    table = feature_set.table
    if table is None or feature_set.rows is None:
        return None
    return FoldRows(
        rows=feature_set.rows,
        splits=feature_set.cut.rows() if feature_set.cut is not None else {},
        folds=folds,
        keys=functools.cache(lambda columns: keys_in(table, columns)),
    )


def keyed_sizes(
    context: Context,
    feature_set: FeatureSet,
    fold: Fold,
    keys: FoldKeys,
    folds: Mapping[str, Fold],
    place: Path,
) -> list[int | None] | None:
    """Rows of each part of a fold with keys; None where they cannot be known, or there are too few groups or rows."""
    rows = rows_in(feature_set, folds)
    if rows is None or feature_set.table is None or (fold.of and feature_set.cut is None):
        return None
    try:
        pooled = rows.keys(keys.columns).among(rows.pool(fold.of, rows.around(fold)))
    except DataError as error:
        message = error.message.replace(str(feature_set.table.file), feature_set.table.called)
        context.error(error.code or "SP508", message, keys.path)
        return None
    number = len(pooled.counts)
    if keys.group_by and number < fold.n:
        groups = f"{number} group{'s' if number > 1 else ''} of {quoted(keys.group_by)}"
        too_few(context, fold.n, groups, number, place)
        return None
    small = too_small(keys.stratify_by, pooled, fold.n) if keys.stratify_by else None
    if small is not None:
        message, hint = small
        context.error("SP511", f"{message} folds", (*place, "n"), hint=hint)
        return None
    sizes = [len(part) for part in rows.parts(fold)]
    if max(sizes) > _FAR_OFF * min(sizes) and keys.group_by:
        message = (
            f"the folds leave out {min(sizes)} to {max(sizes)} rows: the groups of "
            f"{quoted(keys.group_by)} differ too much in size"
        )
        context.warning("SP513", message, (*place, "n"))
    return list(sizes)


def too_few(context: Context, n: int, what: str, most: int, place: Path) -> None:
    """Report folds that there are not enough rows or groups for."""
    message = f"{n} folds cannot be cut from {what}"
    hint = f"at most {most} can" if most > 1 else None
    context.error("SP716", message, (*place, "n"), hint=hint)
