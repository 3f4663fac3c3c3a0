"""Columns of a FeatureSet by name, for the wiring of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.data.column_names import RAW, TRANSFORMED, ColumnName, chosen, listed, one_rep_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.data.column_names import Domain, Keys
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
    def node_label(self) -> str:
        """Label of the FeatureSet."""
        return self.feature_set.label

    def resolve(self) -> FeatureSet:
        """The FeatureSet."""
        return self.feature_set

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


def reference_to(
    feature_set: FeatureSet, selectors: Mapping[Domain, Keys | None], rep: str | None
) -> FeatureSetReference:
    """The reference that `FeatureSet.reference` gives; None stands for all columns of a domain."""
    owner = f"FeatureSet `{feature_set.label}`"
    columns = [
        name
        for domain, keys in selectors.items()
        for name in one_rep_each(owner, _referred(feature_set, domain, keys, rep))
    ]
    if not any(name.domain == "features" for name in columns):
        raise ValueError(
            f"a reference to FeatureSet `{feature_set.label}` needs at least one feature"
        )
    return FeatureSetReference(feature_set=feature_set, columns=tuple(columns))


def column_reference_to(
    feature_set: FeatureSet,
    selectors: Mapping[Domain, Keys | None],
    column: str | None,
    rep: str | None,
) -> ColumnReference:
    """The reference that `FeatureSet.column_reference` gives."""
    owner = f"FeatureSet `{feature_set.label}`"
    names = chosen(owner, feature_set.column_names(), selectors, columns=column, rep=rep)
    names = one_rep_each(owner, names)
    if len(names) != 1:
        raise ValueError(f"a column reference names one column of {owner}, not {len(names)}")
    return ColumnReference(feature_set=feature_set, name=names[0])


def _referred(
    feature_set: FeatureSet, domain: Domain, keys: Keys | None, rep: str | None
) -> Iterator[ColumnName]:
    """The columns that selectors name, in the order of the selectors."""
    if rep not in (None, RAW, TRANSFORMED):
        raise ValueError(f"there is no representation `{rep}`; it is one of `raw`, `transformed`")
    owner = f"FeatureSet `{feature_set.label}`"
    within = [name for name in feature_set.column_names() if name.domain == domain]
    for selector in ["*"] if keys is None else listed(keys):
        found = chosen(owner, within, {domain: selector})
        for name in found:
            # `rep` chooses among several; a column that was not scaled is there as it is.
            others = [other for other in found if other.key == name.key and other.rep == rep]
            if not others or name.rep == rep:
                yield name
