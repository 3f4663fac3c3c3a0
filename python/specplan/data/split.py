"""Dividing rows into named splits.

What a split is made of is decided by counts alone: how many rows of each key (each group, stratum or
value) go to each split. So the compiler knows the sizes of splits that it has read no rows of, and the
rows themselves are dealt out in one place, by `Division` of the extension.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypeVar

from specplan._native import shuffled
from specplan.components.split import (
    ColumnSplit,
    ConditionSplit,
    OrderedSplit,
    RandomSplit,
    RowsSplit,
)
from specplan.data.cut import Cut, CutError
from specplan.spec.suggest import closest
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specplan._native import Keys
    from specplan.components.split import Splitter, Value

_FIRST = ("train", "val", "test")
Item = TypeVar("Item")


def in_cut_order(by_split: Mapping[str, Item]) -> dict[str, Item]:
    """`train`, `val` and `test` first, then the others by name: the order of keys in a text means nothing."""
    ranks = {name: rank for rank, name in enumerate(_FIRST)}
    return dict(
        sorted(by_split.items(), key=lambda item: (ranks.get(item[0], len(_FIRST)), item[0]))
    )


def key_columns(splitter: Splitter) -> tuple[str, ...]:
    """The columns whose values decide what goes where."""
    match splitter:
        case RandomSplit(group_by=group_by, stratify_by=stratify_by):
            return listed(group_by) or listed(stratify_by)
        case ColumnSplit(column=column):
            return (column,)
        case ConditionSplit() | RowsSplit():
            from specplan.data.chosen_rows import columns_named

            return columns_named(splitter)
    return ()


def listed(columns: str | tuple[str, ...]) -> tuple[str, ...]:
    """One column, or several."""
    return (columns,) if isinstance(columns, str) else columns


def cut(splitter: Splitter, rows: int, keys: Keys | None, dtypes: Sequence[str] = ()) -> Cut:
    """Decide what goes where. `keys` are those of `key_columns`; a random split has its seed.

    `dtypes` are those of the columns; splits by conditions need them.

    Raises:
        CutError: a split would have no rows, a stratum is too small, or values and splits do not match.
    """
    match splitter:
        case ColumnSplit():
            assert keys is not None
            return _by_value(splitter, keys)
        case ConditionSplit() | RowsSplit():
            from specplan.data.chosen_rows import choose_by_keys

            assert keys is not None
            return choose_by_keys(splitter, keys, dtypes)
        case OrderedSplit(ratios=ratios):
            sizes = _filled(ratios, rows)
            return Cut(sizes=sizes, cells=list(sizes.values()), keys=None, seed=None)
        case RandomSplit(ratios=ratios, seed=seed):
            assert seed is not None
            if keys is None:
                sizes = _filled(ratios, rows)
                return Cut(sizes=sizes, cells=list(sizes.values()), keys=None, seed=seed)
            cells = (
                _group_cells(splitter, keys.counts, seed)
                if splitter.group_by
                else _stratum_cells(splitter, keys)
            )
            return Cut(sizes=_sizes(ratios, cells), cells=cells, keys=keys, seed=seed)


def split_sizes(ratios: Mapping[str, float], rows: int) -> dict[str, int]:
    """Rows of each split, by largest remainder, in the order of `ratios`, in which they are cut.

    The sizes sum to `rows` where the ratios sum to 1; of equal remainders the first name wins.
    """
    names = list(ratios)
    exact = {name: ratios[name] * rows for name in names}
    # Rounding first keeps 0.1 * 30 = 3.0000000000000004 from being more than 3 rows.
    sizes = {name: math.floor(round(exact[name], 6)) for name in names}
    by_remainder = sorted(names, key=lambda name: -round(exact[name] - sizes[name], 6))
    for name in by_remainder[: rows - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def _filled(ratios: Mapping[str, float], rows: int) -> dict[str, int]:
    sizes = split_sizes(ratios, rows)
    for name, size in sizes.items():
        if not size:
            message = f"split `{name}` gets 0 of {rows} rows"
            raise CutError("SP504", message, ("ratios", name))
    return sizes


def _sizes(names: Mapping[str, object], cells: Sequence[int]) -> dict[str, int]:
    return {name: sum(cells[index :: len(names)]) for index, name in enumerate(names)}


def _group_cells(splitter: RandomSplit, counts: Sequence[int], seed: int) -> list[int]:
    splits, groups = len(splitter.ratios), len(counts)
    if groups < splits:
        said = quoted(listed(splitter.group_by))
        plural = "s" if groups > 1 else ""
        empty = list(splitter.ratios)[groups]
        message = f"split `{empty}` gets no group: {said} has {groups} group{plural}"
        hint = f"{splits} splits need at least {splits} groups"
        raise CutError("SP504", message, ("ratios", empty), hint=hint)
    return group_cells(list(splitter.ratios.values()), counts, seed)


def group_cells(shares: Sequence[float], counts: Sequence[int], seed: int | None) -> list[int]:
    """Groups, shuffled where there is a seed, cut consecutively where their rows come nearest to the shares.

    There are at least as many groups as shares.
    """
    splits, groups = len(shares), len(counts)
    order = list(range(groups)) if seed is None else shuffled(groups, seed)
    # The rows of the first n groups, for each n.
    reached = list(accumulate((counts[group] for group in order), initial=0))
    wanted = [share * reached[-1] for share in accumulate(shares)]
    ends = [0]
    for split, rows in enumerate(wanted[:-1], 1):
        # Each split gets a group, those after it too.
        possible = range(ends[-1] + 1, groups - splits + split + 1)
        ends.append(min(possible, key=lambda end: abs(reached[end] - rows)))
    ends.append(groups)
    cells = [0] * (groups * splits)
    for split, (start, end) in enumerate(pairwise(ends)):
        for group in order[start:end]:
            cells[group * splits + split] = counts[group]
    return cells


def _stratum_cells(splitter: RandomSplit, keys: Keys) -> list[int]:
    shares = list(splitter.ratios.values())
    small = too_small(listed(splitter.stratify_by), keys, len(shares))
    if small is not None:
        raise CutError("SP511", f"{small[0]} splits", ("stratify_by",), hint=small[1])
    cells = stratum_cells(shares, keys.counts)
    for name, size in _sizes(splitter.ratios, cells).items():
        if not size:
            message = f"split `{name}` gets 0 of {sum(cells)} rows"
            raise CutError("SP504", message, ("ratios", name))
    return cells


def stratum_cells(shares: Sequence[float], counts: Sequence[int]) -> list[int]:
    """Of each stratum the whole rows of its shares; what is left over goes where most is missing so far."""
    cells: list[int] = []
    missing = [0.0] * len(shares)
    for rows in counts:
        exact = [share * rows for share in shares]
        whole = [math.floor(round(part, 6)) for part in exact]
        missing = [
            before + part - got for before, part, got in zip(missing, exact, whole, strict=True)
        ]
        over = rows - sum(whole)
        # A share that is whole gets no row more: each is rounded up or down.
        able = [split for split, got in enumerate(whole) if round(exact[split], 6) > got]
        for split in sorted(able, key=lambda split: -round(missing[split], 6))[:over]:
            whole[split] += 1
            missing[split] -= 1
        cells += whole
    return cells


def too_small(columns: Sequence[str], keys: Keys, number: int) -> tuple[str, str] | None:
    """What to say, up to the noun, and to hint of a stratum with too few rows for so many parts; None without one."""
    few = [key for key, count in enumerate(keys.counts) if count < number]
    if not few:
        return None
    key, rows = few[0], keys.counts[few[0]]
    said = ", ".join(
        f"`{name}` {text}" for name, text in zip(columns, keys.texts(key), strict=True)
    )
    plural = "s" if rows > 1 else ""
    others = f"; {len(few)} of {len(keys.counts)} values have as few" if len(few) > 1 else ""
    hint = "`stratify_by` is for classes of which each split can have a row" + others
    return f"only {rows} row{plural} with {said}, too few for {number}", hint


def _by_value(splitter: ColumnSplit, keys: Keys) -> Cut:
    names = list(splitter.splits)
    found = {keys.texts(key)[0]: key for key in range(len(keys.counts))}
    split_of: dict[int, int] = {}
    for split, (name, values) in enumerate(splitter.splits.items()):
        if not values:
            message = f"split `{name}` gets no value of `{splitter.column}`"
            raise CutError("SP504", message, ("splits", name))
        for index, value in enumerate(values):
            place = ("splits", name, index)
            key = found.get(_text(value))
            if key is None:
                raise _no_such_value(splitter.column, value, found, place)
            if key in split_of:
                message = f"the value {value} of `{splitter.column}` is in `{names[split_of[key]]}` already"
                raise CutError("SP512", message, place)
            split_of[key] = split
    left = [text for text, key in found.items() if key not in split_of]
    if left:
        rows = sum(keys.counts[found[text]] for text in left)
        message = (
            f"no split has the rows with {_some(left)} in `{splitter.column}`, which are {rows}"
        )
        hint = f"name every value, in a split of their own if need be: `held_out: [{left[0]}]`"
        raise CutError("SP512", message, ("splits",), hint=hint)
    cells = [0] * (len(keys.counts) * len(names))
    for key, split in split_of.items():
        cells[key * len(names) + split] = keys.counts[key]
    return Cut(sizes=_sizes(splitter.splits, cells), cells=cells, keys=keys, seed=None)


def _no_such_value(
    column: str, value: Value, found: Mapping[str, int], place: tuple[str | int, ...]
) -> CutError:
    message = f"no row has {value} in `{column}`; it has {_some(list(found))}"
    near = closest(_text(value), found)
    return CutError("SP512", message, place, hint=f"did you mean `{near}`?" if near else None)


def _text(value: Value) -> str:
    """A value of a spec as the extension writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _some(texts: Sequence[str], most: int = 8) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return quoted(texts[:most]) + more
