"""Rows of data that a Python program holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from specplan.components.split import RandomSplit
from specplan.data.column_array import column_array
from specplan.data.context import active_context, checked_label
from specplan.data.keys import keys_of
from specplan.data.split import CutError, cut, in_cut_order
from specplan.spec.arguments import checked_int, checked_list, checked_number
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

Domain = Literal["features", "targets", "tags"]
Keys = str | list[str] | tuple[str, ...]


class FeatureSetReference(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns of a FeatureSet a node reads, and which are its targets."""

    feature_set: FeatureSet
    features: tuple[str, ...]
    targets: tuple[str, ...]
    tags: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"FeatureSetReference({self.feature_set.label!r}, features={list(self.features)}, "
            f"targets={list(self.targets)}, tags={list(self.tags)})"
        )


class RandomSplits(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows are divided: what was given, and the rows of each split.

    A number of rows is None where it depends on a seed that only the run has.
    """

    ratios: dict[str, float]
    group_by: tuple[str, ...]
    stratify_by: tuple[str, ...]
    seed: int | None
    sizes: dict[str, int | None]


class FeatureSet:
    """Named columns of equal length, each a feature, a target or a tag.

    The arrays are copies: changing what was passed in later changes nothing here.
    """

    def __init__(
        self, label: str, columns: Mapping[str, NDArray[Any]], domains: Mapping[str, Domain]
    ) -> None:
        self._columns = dict(columns)
        self._domains = dict(domains)
        self._random_splits: RandomSplits | None = None
        self.label = active_context().register("node", checked_label(label), self)

    @classmethod
    def from_dict(
        cls,
        label: str,
        data: Mapping[str, Sequence[Any] | NDArray[Any]],
        feature_keys: Keys,
        target_keys: Keys,
        tag_keys: Keys | None = None,
    ) -> FeatureSet:
        """Make a FeatureSet of some keys of `data`.

        Args:
            label: name by which references find it; unique in the context.
            data: for each key an array of shape (rows, *shape), or a list of rows of equal shape.
            feature_keys: keys of the features.
            target_keys: keys of the targets.
            tag_keys: keys of columns that only describe a row.

        Raises:
            TypeError: `data` is no mapping, a key is no str, or a column is no array and no list.
            ValueError: a key is not in `data` or named twice, columns differ in length, or the rows
                of a column differ in shape.
        """
        if not isinstance(data, Mapping):
            raise TypeError(
                f"FeatureSet `{label}`: data is a mapping of keys to rows, not {type(data).__name__}"
            )
        keys: dict[Domain, list[str]] = {
            "features": _listed(feature_keys),
            "targets": _listed(target_keys),
            "tags": _listed(tag_keys),
        }
        if not keys["features"]:
            raise ValueError(f"FeatureSet `{label}` needs at least one feature key")
        columns: dict[str, NDArray[Any]] = {}
        domains: dict[str, Domain] = {}
        for domain, names in keys.items():
            for name in names:
                if name in domains:
                    raise ValueError(
                        f"FeatureSet `{label}`: `{name}` is named twice, "
                        f"in {domains[name]} and in {domain}"
                    )
                columns[name] = _column(label, name, data)
                domains[name] = domain
        _check_lengths(label, columns)
        return cls(label, columns, domains)

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """The columns by key, each of shape (rows, *shape), read-only."""
        return dict(self._columns)

    @property
    def available_splits(self) -> list[str]:
        """Labels of the splits."""
        return list(self._random_splits.sizes) if self._random_splits else []

    @property
    def random_splits(self) -> RandomSplits | None:
        """What `split_random` made; None before."""
        return self._random_splits

    def split_random(
        self,
        ratios: Mapping[str, float],
        seed: int | None = None,
        *,
        group_by: Keys | None = None,
        stratify_by: Keys | None = None,
    ) -> None:
        """Divide the rows at random.

        The rows are shuffled by `numpy.random.default_rng(seed)` and cut consecutively:
        `train`, `val` and `test` first, then the others by name. Sizes are rounded by largest remainder.

        Args:
            ratios: share of the rows in each split; the shares sum to 1.
            seed: seed of the shuffle, at least 0; without it, one is derived from the seed of the run.
            group_by: keys of which rows that agree in them stay together, in one split.
            stratify_by: keys of which each value has its share in each split, up to one row.

        Raises:
            TypeError: `ratios` is no mapping of labels to numbers, or the seed is no int.
            ValueError: the seed is negative, the shares are not positive or do not sum to 1, a split would have no rows,
                a key names no column that can make groups or strata, a stratum has fewer rows than there
                are splits, or the FeatureSet is split already.
        """
        if not isinstance(ratios, Mapping):
            raise TypeError(f"ratios is a mapping of split to share, not {type(ratios).__name__}")
        if seed is not None:
            seed = checked_int("the seed of a split", seed, least=0)
        ratios = {
            checked_label(name): checked_number(f"the ratio of split `{name}`", ratio)
            for name, ratio in ratios.items()
        }
        if self._random_splits is not None:
            taken = [name for name in ratios if name in self._random_splits.sizes]
            what = f"has the splits {quoted(taken)}" if taken else "is split"
            raise ValueError(
                f"FeatureSet `{self.label}` {what} already; it has: {quoted(self.available_splits)}"
            )
        for name, ratio in ratios.items():
            if not 0 < ratio <= 1:
                raise ValueError(f"split `{name}`: a ratio is above 0 and at most 1, not {ratio:g}")
        total = math.fsum(ratios.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the ratios of the splits must sum to 1, not {total:g}")
        groups = self._key_columns("group_by", group_by)
        strata = self._key_columns("stratify_by", stratify_by)
        if groups and strata:
            raise ValueError("`group_by` and `stratify_by` cannot be had together")
        ratios = in_cut_order(ratios)
        self._random_splits = RandomSplits(
            ratios=ratios,
            group_by=groups,
            stratify_by=strata,
            seed=seed,
            sizes=self._sizes(ratios, groups, strata, seed),
        )

    def _sizes(
        self,
        ratios: dict[str, float],
        groups: tuple[str, ...],
        strata: tuple[str, ...],
        seed: int | None,
    ) -> dict[str, int | None]:
        splitter = RandomSplit(
            ratios=ratios, group_by=groups, stratify_by=strata, seed=0 if seed is None else seed
        )
        columns = [self._columns[name] for name in groups or strata]
        try:
            sizes = cut(splitter, len(self), keys_of(columns) if columns else None).sizes
        except CutError as error:
            raise ValueError(f"FeatureSet `{self.label}`: {error}") from None
        if groups and seed is None:
            return dict.fromkeys(sizes)
        return dict(sizes)

    def _key_columns(self, parameter: str, keys: Keys | None) -> tuple[str, ...]:
        names = _listed(keys)
        for name in names:
            if name not in self._columns:
                raise ValueError(
                    f"{parameter}: FeatureSet `{self.label}` has no key `{name}`; "
                    f"it has: {choices(name, self._columns)}"
                )
            column = self._columns[name]
            if column.ndim > 1 or column.dtype.kind == "f":
                raise ValueError(
                    f"{parameter}: `{name}` has rows of {column.dtype} {column.shape[1:]}; "
                    "it needs text, integers or booleans, one a row"
                )
        return tuple(names)

    def check_split(self, split: str | None) -> None:
        """Raise ValueError unless `split` is one of the splits, or None for all rows."""
        if split is None or split in self.available_splits:
            return
        raise ValueError(
            f"FeatureSet `{self.label}` has no split `{split}`; "
            f"available: {choices(split, self.available_splits)}"
        )

    def reference(
        self,
        features: Keys | None = None,
        targets: Keys | None = None,
        tags: Keys | None = None,
    ) -> FeatureSetReference:
        """Name the columns that a node reads; None stands for all columns of the kind.

        Raises:
            ValueError: a key is not a column of this kind.
        """
        return FeatureSetReference(
            feature_set=self,
            features=self._named("features", features),
            targets=self._named("targets", targets),
            tags=self._named("tags", tags),
        )

    def keys(self, domain: Domain) -> list[str]:
        """Keys of the columns of one kind, in the order in which they were given."""
        return [name for name, of in self._domains.items() if of == domain]

    def get_feature_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one row of each feature."""
        return {name: self._columns[name].shape[1:] for name in self.keys("features")}

    def visualize(self) -> None:
        """Print a table of the columns and splits."""
        rows = [
            [name, domain, str(self._columns[name].dtype), str(self._columns[name].shape[1:])]
            for name, domain in self._domains.items()
        ]
        splits = self._random_splits.sizes if self._random_splits else {}
        lines = [
            f"{self.label}: {len(self)} rows",
            *_aligned([["column", "kind", "dtype", "row shape"], *rows]),
            *(
                _aligned([["split", "rows"], *([name, _shown(n)] for name, n in splits.items())])
                if splits
                else []
            ),
        ]
        print("\n".join(lines))  # noqa: T201 -- to show it is what the caller asks for

    def _named(self, domain: Domain, keys: Keys | None) -> tuple[str, ...]:
        known = self.keys(domain)
        if keys is None:
            return tuple(known)
        names = tuple(_listed(keys))
        for name in names:
            if name not in known:
                raise ValueError(
                    f"`{name}` is not among the {domain} of FeatureSet `{self.label}`; "
                    f"they are: {choices(name, known)}"
                )
        if domain == "features" and not names:
            raise ValueError(f"a reference to FeatureSet `{self.label}` needs at least one feature")
        return names

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __repr__(self) -> str:
        kinds = ", ".join(
            f"{domain}={self.keys(domain)}" for domain in ("features", "targets", "tags")
        )
        return (
            f"FeatureSet(label={self.label!r}, rows={len(self)}, {kinds}, "
            f"splits={self.available_splits})"
        )


def _shown(rows: int | None) -> str:
    return "as the run's seed says" if rows is None else str(rows)


def _listed(keys: Keys | None) -> list[str]:
    if keys is None:
        return []
    names = [keys] if isinstance(keys, str) else checked_list("what names columns", keys)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"the key of a column is a str, not {type(name).__name__}")
    return names


def _column(label: str, name: str, data: Mapping[str, Any]) -> NDArray[Any]:
    if name not in data:
        raise ValueError(
            f"FeatureSet `{label}`: there is no key `{name}` in the data; "
            f"it has: {choices(name, data)}"
        )
    rows = data[name]
    if not isinstance(rows, np.ndarray):
        rows = checked_list(f"FeatureSet `{label}`: column `{name}`", rows)
        _check_shapes(label, name, rows)
    if not len(np.atleast_1d(rows)):
        raise ValueError(f"FeatureSet `{label}`: column `{name}` has no rows")
    try:
        array = np.array(column_array(rows), order="C")
    except ValueError as error:
        raise ValueError(f"FeatureSet `{label}`: column `{name}` {error}") from None
    array.flags.writeable = False
    return array


def _check_shapes(label: str, name: str, rows: Iterable[Any]) -> None:
    first: tuple[int, ...] | None = None
    for number, row in enumerate(rows):
        try:
            shape = np.shape(row)
        except ValueError:
            raise ValueError(
                f"FeatureSet `{label}`: column `{name}` is ragged within row {number}"
            ) from None
        if first is None:
            first = shape
        elif shape != first:
            raise ValueError(
                f"FeatureSet `{label}`: column `{name}` is ragged: row {number} has shape {shape}, "
                f"row 0 has {first}"
            )


def _check_lengths(label: str, columns: Mapping[str, NDArray[Any]]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
        raise ValueError(f"FeatureSet `{label}`: the columns differ in length: {said}")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
