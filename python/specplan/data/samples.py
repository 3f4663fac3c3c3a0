"""Some of the rows and columns of a FeatureSet or of a view, and splits of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from specplan.data.access import ColumnAccess
from specplan.data.column_names import (
    ColumnName,
    Domain,
    Keys,
    listed,
)
from specplan.data.dividing import (
    absolute,
    check_apart,
    conditions_hold,
    declared_conditions,
    random_rows,
)
from specplan.spec.arguments import checked_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from specplan.data.feature_set_view import FeatureSetView


class Samples(ColumnAccess):
    """Rows that can be chosen from, and divided."""

    def filter(self, conditions: Mapping[str, Any], *, label: str | None = None) -> FeatureSetView:
        """The rows that meet all conditions; a warning where there are none.

        Args:
            conditions: for a column, by its key or full name: a value to be equal to, a list of
                allowed values, a Predicate, or a function of the value of one row.
            label: label of the view.

        Raises:
            TypeError: the conditions are no mapping, or one is no condition.
            ValueError: there is no such column, or a condition does not fit it.
        """
        found = np.flatnonzero(conditions_hold(self, conditions))
        if not len(found):
            warnings.warn(
                f"no row of `{self.label}` meets the conditions on {', '.join(map(str, conditions))}",
                stacklevel=2,
            )
        return self._view(absolute(self, found), label)

    def take(self, rel_indices: Sequence[int], label: str | None = None) -> FeatureSetView:
        """The rows at positions, in their order; negative ones count from the end.

        Raises:
            IndexError: there is no such position.
            TypeError: they are no integers.
        """
        positions = np.asarray(rel_indices)
        if positions.ndim != 1 or (positions.size and positions.dtype.kind not in "iu"):
            raise TypeError(
                f"take needs a list of integers, not {positions.dtype} {positions.shape}"
            )
        positions = positions.astype(np.int64)
        wrong = positions[(positions < -len(self)) | (positions >= len(self))]
        if len(wrong):
            raise IndexError(f"`{self.label}` has {len(self)} rows; there is none at {wrong[0]}")
        return self._view(absolute(self, positions % max(1, len(self))), label)

    def take_sample_uuids(
        self, sample_uuids: Sequence[str], *, label: str | None = None
    ) -> FeatureSetView:
        """The rows with these ids, in their order.

        Raises:
            ValueError: an id is of no row here.
        """
        positions = {uuid: index for index, uuid in enumerate(self.get_sample_uuids("list"))}
        wanted = checked_list("sample_uuids", sample_uuids)
        unknown = [uuid for uuid in wanted if uuid not in positions]
        if unknown:
            raise ValueError(f"`{self.label}` has no row with the id {unknown[0]!r}")
        return self.take([positions[uuid] for uuid in wanted], label)

    def take_intersection(
        self,
        other: Samples,
        *,
        order: Literal["self", "other"] = "self",
        label: str | None = None,
    ) -> FeatureSetView:
        """The rows that are here and in `other`, in the order of one of them.

        Raises:
            ValueError: they are rows of different FeatureSets, or there is no such order.
        """
        if order not in ("self", "other"):
            raise ValueError(f"order is `self` or `other`, not {order!r}")
        mine, theirs = _numbers(self), _numbers(self._relative(other))
        first, second = (mine, theirs) if order == "self" else (theirs, mine)
        return self._view(first[np.isin(first, second)], label)

    def take_difference(self, other: Samples, *, label: str | None = None) -> FeatureSetView:
        """The rows that are here and not in `other`.

        Raises:
            ValueError: they are rows of different FeatureSets.
        """
        mine, theirs = _numbers(self), _numbers(self._relative(other))
        return self._view(mine[~np.isin(mine, theirs)], label)

    def is_disjoint_with(self, other: Samples) -> bool:
        """Whether no row is in both. Rows of different FeatureSets are the same where their ids are."""
        if self.source is other.source:
            return not np.isin(_numbers(self), _numbers(other)).any()
        return not np.isin(self.get_sample_uuids(), other.get_sample_uuids()).any()

    def select(
        self,
        columns: Keys | None = None,
        *,
        features: Keys | None = None,
        targets: Keys | None = None,
        tags: Keys | None = None,
        rep: str | None = None,
        label: str | None = None,
    ) -> FeatureSetView:
        """These rows with some of the columns, named as for `get_data`.

        Raises:
            ValueError: there is no such column or representation.
        """
        by_domain: dict[Domain, Keys | None] = {
            "features": features,
            "targets": targets,
            "tags": tags,
        }
        names = self._chosen(by_domain, columns=columns, rep=rep, all_if_none=True)
        return self._view(self.rows, label, tuple(names))

    # ---- splits

    def split_random(
        self,
        ratios: Mapping[str, float],
        seed: int = 13,
        *,
        group_by: Keys | None = None,
        stratify_by: Keys | None = None,
        strict_stratification: bool = False,
        return_views: bool = False,
        register: bool = True,
    ) -> dict[str, FeatureSetView] | None:
        """Divide the rows at random into splits of the FeatureSet.

        The rows are shuffled by `numpy.random.default_rng(seed)` and cut consecutively:
        `train`, `val` and `test` first, then the others by name. Sizes are rounded by largest remainder.

        Args:
            ratios: share of the rows in each split; the shares sum to 1.
            seed: seed of the shuffle, at least 0.
            group_by: columns of which rows that agree in them stay together, in one split.
            stratify_by: columns of which each value has its share in each split, up to one row.
            strict_stratification: whether rows of frequent values are left out, so that each value
                has as many rows as the rarest.
            return_views: whether the splits are returned, by name.
            register: whether they become splits of the FeatureSet.

        Raises:
            TypeError: `ratios` is no mapping of labels to numbers, or the seed is no int.
            ValueError: the seed is negative, the shares are not positive or do not sum to 1, a split
                would have no rows, a column can make no groups or strata, a stratum has fewer rows
                than there are splits, or a split of that name is there already.
        """
        by = {
            parameter: self._keys_for(parameter, keys)
            for parameter, keys in (("group_by", group_by), ("stratify_by", stratify_by))
        }
        found, component = random_rows(
            self, ratios, seed, by["group_by"], by["stratify_by"], strict=strict_stratification
        )
        return self._divided(found, component, return_views=return_views, register=register)

    def split_by_condition(
        self,
        conditions: Mapping[str, Mapping[str, Any]],
        *,
        return_views: bool = False,
        register: bool = True,
    ) -> dict[str, FeatureSetView] | None:
        """Put the rows that meet conditions into splits of the FeatureSet; rows can be left over.

        A row that meets those of several splits is in each of them, with a warning.

        Args:
            conditions: for each split what `filter` takes.
            return_views: whether the splits are returned, by name.
            register: whether they become splits of the FeatureSet.

        Raises:
            TypeError: it is no mapping of mappings, or a condition is none.
            ValueError: as for `filter`; or a split has no rows, or its name is taken.
        """
        if not isinstance(conditions, Mapping):
            raise TypeError(
                f"conditions is a mapping of splits to conditions, not {type(conditions).__name__}"
            )
        found = {}
        for name, of_split in conditions.items():
            rows = np.flatnonzero(conditions_hold(self, of_split))
            if not len(rows):
                raise ValueError(f"split `{name}`: no row of `{self.label}` meets its conditions")
            found[name] = absolute(self, rows)
        apart = check_apart(found)
        component = declared_conditions(self, conditions) if apart else None
        return self._divided(found, component, return_views=return_views, register=register)

    def _divided(
        self,
        found: Mapping[str, NDArray[np.int64]],
        component: dict[str, Any] | None,
        *,
        return_views: bool,
        register: bool,
    ) -> dict[str, FeatureSetView] | None:
        if register:
            self.source.divide(found, component if self.rows is None else None)
        if not return_views:
            return None
        return {name: self._view(rows, name) for name, rows in found.items()}

    # ---- what these methods share

    def _view(
        self,
        rows: NDArray[np.int64] | None,
        label: str | None,
        columns: tuple[ColumnName, ...] | None = None,
    ) -> FeatureSetView:
        from specplan.data.feature_set_view import FeatureSetView

        if columns is None and self.rows is not None:
            columns = self.columns_seen
        numbers = np.arange(self.source.row_count) if rows is None else rows
        return FeatureSetView(self.source, numbers, columns, label or f"{self.label}_view")

    @property
    def columns_seen(self) -> tuple[ColumnName, ...] | None:
        """The columns that are here; None for all that the source has at any time."""
        return None

    def _relative(self, other: Samples) -> Samples:
        if other.source is not self.source:
            raise ValueError(
                f"`{other.label}` has rows of FeatureSet `{other.source.label}`, and `{self.label}` of "
                f"`{self.source.label}`"
            )
        return other

    def _keys_for(self, parameter: str, keys: Keys | None) -> tuple[str, ...]:
        """The keys of columns that can make groups or strata."""
        return tuple(self.source.key_column(parameter, key) for key in listed(keys))


def _numbers(samples: Samples) -> NDArray[np.int64]:
    return np.arange(len(samples)) if samples.rows is None else samples.rows
