"""Columns of a FeatureSet by name, for the wiring of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from specplan.data.column_names import ColumnName
    from specplan.data.feature_set import FeatureSet


class ColumnReference(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a FeatureSet, in one representation."""

    feature_set: FeatureSet
    name: ColumnName

    @property
    def column(self) -> str:
        """The key; with the representation, where the column has several."""
        key = self.name.key
        return f"{key}.{self.name.rep}" if key in self.feature_set.transforms else key

    def __repr__(self) -> str:
        return f"ColumnReference({self.feature_set.label!r}, {str(self.name)!r})"


class FeatureSetReference(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns of a FeatureSet a node reads, and which are its targets.

    Attributes:
        columns: all of them.
    """

    feature_set: FeatureSet
    columns: tuple[ColumnName, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The features, as `ColumnReference.column` says them."""
        return self._of("features")

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets, as `ColumnReference.column` says them."""
        return self._of("targets")

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, as `ColumnReference.column` says them."""
        return self._of("tags")

    def _of(self, domain: str) -> tuple[str, ...]:
        return tuple(
            ColumnReference(feature_set=self.feature_set, name=name).column
            for name in self.columns
            if name.domain == domain
        )

    def __repr__(self) -> str:
        return (
            f"FeatureSetReference({self.feature_set.label!r}, features={list(self.features)}, "
            f"targets={list(self.targets)}, tags={list(self.tags)})"
        )
