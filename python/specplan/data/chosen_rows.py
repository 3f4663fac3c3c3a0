"""Splits that say themselves which rows they have: by conditions on columns, or by columns of positions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan._native import Keys
from specplan.components.split import ConditionSplit, RowsSplit
from specplan.data.cut import Cut, CutError
from specplan.data.predicate import PREDICATES, predicates_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[Any]]

Chooser = ConditionSplit | RowsSplit


def columns_named(splitter: Chooser) -> tuple[str, ...]:
    """The columns that decide what goes where, each once."""
    if isinstance(splitter, RowsSplit):
        return tuple(dict.fromkeys(splitter.splits.values()))
    return tuple(dict.fromkeys(name for by in splitter.splits.values() for name in by))


def choose(splitter: Chooser, columns: Columns) -> Cut:
    """What the rows of `columns`, those of `columns_named`, say.

    Raises:
        CutError: a condition does not fit its column, a split has no rows, or conditions overlap.
    """
    masks = _masks(splitter, columns)
    codes = _first(masks)
    names = list(masks)
    present, inverse = np.unique(codes, return_inverse=True)
    keys = Keys([(inverse.astype(np.uint32).tobytes(), [str(code) for code in present])])
    splits = [int(keys.texts(key)[0]) for key in range(len(keys.counts))]
    made = _cut(names, [int(mask.sum()) for mask in masks.values()], keys, splits)
    if isinstance(splitter, ConditionSplit):
        return made
    positions = {name: _in_order(columns[column]) for name, column in splitter.splits.items()}
    return Cut(
        sizes=made.sizes, cells=made.cells, keys=keys, seed=None, left=made.left, chosen=positions
    )


def taken(splits: Mapping[str, NDArray[np.int64]], rows: int) -> Cut:
    """The cut in which each split has the rows that are named, in their order."""
    positions = {name: np.full(rows, -1) for name in splits}
    for name, numbers in splits.items():
        positions[name][numbers] = np.arange(len(numbers))
    return choose(RowsSplit(splits={name: name for name in splits}), positions)


def choose_by_keys(splitter: Chooser, keys: Keys, dtypes: Sequence[str]) -> Cut:
    """What the keys that a file has in the columns of `columns_named` say, which are of `dtypes`.

    The same as `choose` of its rows, but that the order of a split's rows is not known.

    Raises:
        CutError: as `choose` does.
    """
    texts = [keys.texts(key) for key in range(len(keys.counts))]
    columns = {
        name: _values([text[index] for text in texts], dtypes[index])
        for index, name in enumerate(columns_named(splitter))
    }
    masks = _masks(splitter, columns)
    counts = np.array(keys.counts, dtype=np.int64)
    sizes = [int(counts[mask].sum()) for mask in masks.values()]
    return _cut(list(masks), sizes, keys, _first(masks).tolist())


def meeting(conditions: Mapping[str, Any], columns: Columns) -> NDArray[np.bool_]:
    """For each row whether every condition holds on its column.

    Raises:
        ValueError, TypeError: a condition is none, or does not fit; `args` are the column and the reason.
    """
    found: NDArray[np.bool_] = np.ones(len(next(iter(columns.values()))), dtype=bool)
    for name, condition in conditions.items():
        try:
            for predicate in predicates_of(condition):
                found &= predicate.holds(columns[name])
        except (ValueError, TypeError) as error:
            raise type(error)(name, str(error)) from None
    return found


def _masks(splitter: Chooser, columns: Columns) -> dict[str, NDArray[np.bool_]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    for split, said in splitter.splits.items():
        if isinstance(said, str):
            masks[split] = _are_in(columns[said])
            continue
        if not said:
            raise CutError("SP515", f"split `{split}` has no condition", ("splits", split))
        try:
            masks[split] = meeting(said, columns)
        except (ValueError, TypeError) as error:
            column, reason = error.args
            reason, _, hint = reason.partition("; did you mean")
            part = _wrong_part(said[column], columns[column])
            place = ("splits", split, column, *part)
            unknown = bool(part) and part[0] not in PREDICATES
            hint = f"did you mean{hint}" if hint else None
            raise CutError("SP515", reason, place, hint=hint, at_key=unknown) from None
    if isinstance(splitter, ConditionSplit):
        _check_apart(masks)
    for split, mask in masks.items():
        if not mask.any():
            message = f"split `{split}` gets no row"
            raise CutError("SP504", message, ("splits", split))
    return masks


def _wrong_part(condition: object, column: NDArray[Any]) -> tuple[str, ...]:
    """The comparison of a condition by name that is none, or does not fit; nothing where it has no such parts."""
    for name, operand in condition.items() if isinstance(condition, Mapping) else ():
        try:
            for predicate in predicates_of({name: operand}):
                predicate.holds(column)
        except (ValueError, TypeError):
            return (name,)
    return ()


def _check_apart(masks: Mapping[str, NDArray[np.bool_]]) -> None:
    for first, second in combinations(masks, 2):
        if (masks[first] & masks[second]).any():
            message = f"rows meet the conditions of both `{first}` and `{second}`"
            hint = "a row is in one split; columns of positions, `use: rows`, may overlap"
            also = (("splits", first), f"rows of `{first}`")
            raise CutError("SP515", message, ("splits", second), hint=hint, also=also)


def _first(masks: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.int64]:
    """The number of the first split that each row is in; that of no split is the number of splits."""
    codes = np.full(len(next(iter(masks.values()))), len(masks))
    for number, mask in reversed(list(enumerate(masks.values()))):
        codes[mask] = number
    return codes


def _cut(names: list[str], sizes: list[int], keys: Keys, splits: Sequence[int]) -> Cut:
    """The cut in which the rows of each key go to one split, or to none."""
    left = sum(
        count for count, split in zip(keys.counts, splits, strict=True) if split == len(names)
    )
    width = len(names) + (left > 0)
    cells = [0] * (len(keys.counts) * width)
    for key, (count, split) in enumerate(zip(keys.counts, splits, strict=True)):
        cells[key * width + split] = count
    return Cut(
        sizes=dict(zip(names, sizes, strict=True)), cells=cells, keys=keys, seed=None, left=left
    )


def _are_in(column: NDArray[Any]) -> NDArray[np.bool_]:
    return column if column.dtype.kind == "b" else column >= 0


def _in_order(column: NDArray[Any]) -> NDArray[np.int64]:
    rows = np.flatnonzero(_are_in(column))
    return rows if column.dtype.kind == "b" else rows[np.argsort(column[rows], kind="stable")]


def _values(texts: Sequence[str], dtype: str) -> NDArray[Any]:
    """The values that a file's keys stand for."""
    if dtype == "bool":
        return np.array([text == "true" for text in texts])
    if dtype.startswith(("int", "uint", "other: dictionary<values=int")):
        return np.array([int(text) for text in texts])
    return np.array(texts, dtype=str)
