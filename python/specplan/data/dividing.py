"""Dividing the rows of a FeatureSet, or of a view, into splits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.components.split import RandomSplit
from specplan.data.column_names import RAW, ColumnName, chosen, one_rep_each
from specplan.data.context import checked_label
from specplan.data.cut import CutError
from specplan.data.keys import keys_of
from specplan.data.predicate import predicates_of
from specplan.data.split import cut, in_cut_order
from specplan.spec.arguments import checked_int, checked_number
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.data.samples import Samples

    Rows = dict[str, NDArray[np.int64]]


def absolute(samples: Samples, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers that rows at `positions` have in the FeatureSet."""
    return positions if samples.rows is None else samples.rows[positions]


def random_rows(
    samples: Samples,
    ratios: Mapping[str, float],
    seed: int,
    groups: tuple[str, ...],
    strata: tuple[str, ...],
    *,
    strict: bool,
) -> tuple[Rows, dict[str, Any] | None]:
    """The rows of each split, and the splitter of a spec that gives the same ones, where there is one.

    Raises:
        TypeError, ValueError: as `Samples.split_random` does.
    """
    ratios = _checked(ratios)
    seed = checked_int("the seed of a split", seed, least=0)
    if groups and strata:
        raise ValueError("`group_by` and `stratify_by` cannot be had together")
    splitter = RandomSplit(ratios=ratios, group_by=groups, stratify_by=strata, seed=seed)
    arrays = [samples.array(samples.source.raw(key)) for key in groups or strata]
    kept = _even(arrays, seed) if strict and strata else None
    if kept is not None:
        arrays = [array[kept] for array in arrays]
    rows = len(samples) if kept is None else len(kept)
    try:
        found = cut(splitter, rows, keys_of(arrays) if arrays else None).rows()
    except CutError as error:
        raise ValueError(f"FeatureSet `{samples.label}`: {error}") from None
    if kept is not None:
        found = {name: kept[positions] for name, positions in found.items()}
    component: dict[str, Any] = {"use": "random", "ratios": ratios, "seed": seed}
    for parameter, keys in (("group_by", groups), ("stratify_by", strata)):
        if keys:
            component[parameter] = list(keys)
    numbers = {name: absolute(samples, positions) for name, positions in found.items()}
    return numbers, component if kept is None else None


def conditions_hold(samples: Samples, conditions: Mapping[str, Any]) -> NDArray[np.bool_]:
    """For each row whether every condition holds.

    Raises:
        TypeError, ValueError: as `Samples.filter` does.
    """
    if not isinstance(conditions, Mapping):
        raise TypeError(
            f"conditions are a mapping of columns to conditions, not {type(conditions).__name__}"
        )
    found: NDArray[np.bool_] = np.ones(len(samples), dtype=bool)
    for column, condition in conditions.items():
        name = _column(samples, column)
        values = samples.array(name)
        try:
            found &= _holds(condition, values)
        except (ValueError, TypeError) as error:
            raise type(error)(f"the condition on `{name}`: {error}") from None
    return found


def check_apart(splits: Rows) -> bool:
    """Whether no row is in two of `splits`; a warning where one is."""
    apart = True
    for first, second in combinations(splits, 2):
        shared = len(np.intersect1d(splits[first], splits[second]))
        if shared:
            apart = False
            said = "1 row is" if shared == 1 else f"{shared} rows are"
            warnings.warn(f"{said} in both splits `{first}` and `{second}`", stacklevel=4)
    return apart


def declared_conditions(
    samples: Samples, conditions: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The splitter of a spec that says the same; None where a condition is a function, or not of raw values."""
    splits: dict[str, dict[str, Any]] = {}
    for split, by_column in conditions.items():
        splits[split] = {}
        for column, condition in by_column.items():
            name = _column(samples, column)
            if _is_function(condition) or name.rep != RAW or name.key in splits[split]:
                return None
            (predicate,) = predicates_of(condition)
            splits[split][name.key] = predicate.to_dict()
    return {"use": "condition", "splits": in_cut_order(splits)}


def _holds(condition: Any, values: NDArray[Any]) -> NDArray[np.bool_]:
    if not _is_function(condition):
        found: NDArray[np.bool_] = np.ones(len(values), dtype=bool)
        for predicate in predicates_of(condition):
            found &= predicate.holds(values)
        return found
    return np.fromiter((bool(condition(value)) for value in values), dtype=bool, count=len(values))


def _is_function(condition: Any) -> bool:
    from specplan.data.predicate import Predicate

    return callable(condition) and not isinstance(condition, Predicate)


def _column(samples: Samples, column: str) -> ColumnName:
    if not isinstance(column, str):
        raise TypeError(f"a condition is on a column, named by a str, not {type(column).__name__}")
    owner = f"FeatureSet `{samples.label}`"
    names = samples.column_names()
    for name in names:
        if str(name) == column:
            return name
    if column.partition(".")[0] in ("features", "targets", "tags"):
        found = chosen(owner, names, {}, columns=column)
    else:
        found = [name for name in names if column in (name.key, f"{name.key}.{name.rep}")]
        if not found:
            known = dict.fromkeys(name.key for name in names)
            raise ValueError(f"{owner} has no column `{column}`; it has: {choices(column, known)}")
    found = one_rep_each(owner, found)
    if len(found) != 1:
        raise ValueError(f"`{column}` names several columns of {owner}: {quoted(map(str, found))}")
    return found[0]


def _checked(ratios: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(ratios, Mapping):
        raise TypeError(f"ratios is a mapping of split to share, not {type(ratios).__name__}")
    shares = {
        checked_label(name): checked_number(f"the ratio of split `{name}`", ratio)
        for name, ratio in ratios.items()
    }
    for name, ratio in shares.items():
        if not 0 < ratio <= 1:
            raise ValueError(f"split `{name}`: a ratio is above 0 and at most 1, not {ratio:g}")
    total = math.fsum(shares.values())
    if abs(total - 1) > 1e-9:
        raise ValueError(f"the ratios of the splits must sum to 1, not {total:g}")
    return in_cut_order(shares)


def _even(columns: list[NDArray[Any]], seed: int) -> NDArray[np.int64]:
    """As many rows of each key as the rarest has, drawn at random, in ascending order."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, part = np.unique(column, return_inverse=True)
        codes = codes * len(values) + part.reshape(-1)
    order = np.random.default_rng(seed).permutation(len(codes))
    by_key = order[np.argsort(codes[order], kind="stable")]
    counts = np.unique(codes, return_counts=True)[1]
    starts = np.cumsum(counts) - counts
    least = counts.min()
    return np.sort(np.concatenate([by_key[start : start + least] for start in starts]))
