"""Reading the columns of a FeatureSet or of a view: keys, shapes, types and values."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.column_names import (
    DOMAINS,
    RAW,
    SAMPLE_UUIDS,
    ColumnName,
    Domain,
    Keys,
    chosen,
    one_rep_each,
)
from specplan.data.formats import as_frame, in_format

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas
    import pyarrow as pa
    from numpy.typing import NDArray

    from specplan.data.feature_set import FeatureSet

Shape = tuple[int, ...]


class ColumnAccess(abc.ABC):
    """Rows of columns. What is given is read-only, or a copy."""

    label: str

    @property
    @abc.abstractmethod
    def source(self) -> FeatureSet:
        """The FeatureSet that holds the rows."""

    @property
    @abc.abstractmethod
    def rows(self) -> NDArray[np.int64] | None:
        """The numbers of the rows in the source, in order; None for all of them."""

    @abc.abstractmethod
    def column_names(self) -> list[ColumnName]:
        """The columns in every representation, by domain."""

    def array(self, name: ColumnName) -> NDArray[Any]:
        """The rows of one column, of shape (rows, *shape of one row)."""
        held = self.source.stored(name)
        return held if self.rows is None else held[self.rows]

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self)

    def __len__(self) -> int:
        return self.source.row_count if self.rows is None else len(self.rows)

    # ---- keys, shapes, dtypes

    def get_feature_keys(
        self, *, include_rep_suffix: bool = True, include_domain_prefix: bool = True
    ) -> list[str]:
        """Names of the features, `features.voltage.raw`."""
        return self._shown("features", rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_target_keys(
        self, *, include_rep_suffix: bool = True, include_domain_prefix: bool = True
    ) -> list[str]:
        """Names of the targets, `targets.soh.raw`."""
        return self._shown("targets", rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_tag_keys(
        self, *, include_rep_suffix: bool = True, include_domain_prefix: bool = True
    ) -> list[str]:
        """Names of the tags, `tags.cell.raw`."""
        return self._shown("tags", rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_all_keys(
        self, *, include_rep_suffix: bool = True, include_domain_prefix: bool = True
    ) -> list[str]:
        """Names of all columns, and of the ids of the rows, `sample_uuids`."""
        names = [
            name
            for domain in DOMAINS
            for name in self._shown(domain, rep=include_rep_suffix, prefix=include_domain_prefix)
        ]
        return [*names, SAMPLE_UUIDS]

    def get_feature_shapes(
        self, *, include_rep_suffix: bool = False, include_domain_prefix: bool = False
    ) -> dict[str, Shape]:
        """Shape of one row of each feature."""
        return self._shapes("features", rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_target_shapes(
        self, *, include_rep_suffix: bool = False, include_domain_prefix: bool = False
    ) -> dict[str, Shape]:
        """Shape of one row of each target."""
        return self._shapes("targets", rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_tag_shapes(
        self, *, include_rep_suffix: bool = False, include_domain_prefix: bool = False
    ) -> dict[str, Shape]:
        """Shape of one row of each tag."""
        return self._shapes("tags", rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_feature_dtypes(
        self, *, include_rep_suffix: bool = False, include_domain_prefix: bool = False
    ) -> dict[str, str]:
        """numpy's name of the type of each feature."""
        return self._dtypes("features", rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_target_dtypes(
        self, *, include_rep_suffix: bool = False, include_domain_prefix: bool = False
    ) -> dict[str, str]:
        """numpy's name of the type of each target."""
        return self._dtypes("targets", rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_tag_dtypes(
        self, *, include_rep_suffix: bool = False, include_domain_prefix: bool = False
    ) -> dict[str, str]:
        """numpy's name of the type of each tag."""
        return self._dtypes("tags", rep=include_rep_suffix, prefix=include_domain_prefix)

    # ---- values

    def get_features(
        self,
        fmt: str = "dict_numpy",
        *,
        features: Keys | None = None,
        rep: str | None = None,
        include_rep_suffix: bool = False,
        include_domain_prefix: bool = False,
    ) -> Any:
        """The features, or some of them, as `fmt`.

        Args:
            fmt: `dict_numpy`, `numpy` (the columns on axis 1 of one array), `pandas`, `torch`, `dict_torch`,
                `dict` or `list`.
            features: keys or patterns with `*`; all of them for None.
            rep: `raw` or `transformed`; needed where a column has both and its name is shown without.
            include_rep_suffix: whether names have the representation after the key.
            include_domain_prefix: whether names have the domain before the key.

        Raises:
            ValueError: there is no such column, representation or format.
        """
        names = self._chosen({"features": features or "*"}, rep=rep)
        return self._given(names, fmt, rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_targets(
        self,
        fmt: str = "dict_numpy",
        *,
        targets: Keys | None = None,
        rep: str | None = None,
        include_rep_suffix: bool = False,
        include_domain_prefix: bool = False,
    ) -> Any:
        """The targets, as `get_features` gives features."""
        names = self._chosen({"targets": targets or "*"}, rep=rep)
        return self._given(names, fmt, rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_tags(
        self,
        fmt: str = "dict_numpy",
        *,
        tags: Keys | None = None,
        rep: str | None = None,
        include_rep_suffix: bool = False,
        include_domain_prefix: bool = False,
    ) -> Any:
        """The tags, as `get_features` gives features."""
        names = self._chosen({"tags": tags or "*"}, rep=rep)
        return self._given(names, fmt, rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_data(
        self,
        *,
        columns: Keys | None = None,
        features: Keys | None = None,
        targets: Keys | None = None,
        tags: Keys | None = None,
        rep: str | None = None,
        fmt: str = "dict_numpy",
        include_rep_suffix: bool = True,
        include_domain_prefix: bool = True,
    ) -> Any:
        """Columns of several domains at once; all of them where none is named.

        `columns` are names or patterns with the domain, `features.v*`; the others as for `get_features`.

        Raises:
            ValueError: there is no such column, representation or format.
        """
        by_domain: dict[Domain, Keys | None] = {
            "features": features,
            "targets": targets,
            "tags": tags,
        }
        names = self._chosen(by_domain, columns=columns, rep=rep, all_if_none=True)
        return self._given(names, fmt, rep=include_rep_suffix, prefix=include_domain_prefix)

    def get_sample_uuids(self, fmt: str = "numpy") -> Any:
        """The ids of the rows, texts of shape (rows,)."""
        uuids = self.source.uuids if self.rows is None else self.source.uuids[self.rows]
        match fmt:
            case "numpy" | "np":
                return uuids
            case "list":
                return uuids.tolist()
        return in_format({SAMPLE_UUIDS: uuids}, fmt)

    def to_arrow(self) -> pa.Table:
        """A table with every representation of every column, by full name, and `sample_uuids`."""
        from specplan.data.arrow_table import table_of

        columns = {str(name): self.array(name) for name in self.column_names()}
        return table_of({**columns, SAMPLE_UUIDS: self.get_sample_uuids()})

    def to_pandas(self) -> pandas.DataFrame:
        """A DataFrame with every representation of every column, by full name, and `sample_uuids`."""
        columns = {str(name): self.array(name) for name in self.column_names()}
        return as_frame({**columns, SAMPLE_UUIDS: self.get_sample_uuids()})

    def to_featureset(self, label: str) -> FeatureSet:
        """A FeatureSet of these rows and the raw columns, which shares nothing with the one before."""
        from specplan.data.feature_set import FeatureSet

        raw = [name for name in self.column_names() if name.rep == RAW]
        columns = {name.key: np.array(self.array(name)) for name in raw}
        domains = {name.key: name.domain for name in raw}
        return FeatureSet(label, columns, domains, uuids=self.get_sample_uuids())

    # ---- what these methods share

    def _chosen(
        self,
        by_domain: Mapping[Domain, Keys | None],
        *,
        columns: Keys | None = None,
        rep: str | None = None,
        all_if_none: bool = False,
    ) -> list[ColumnName]:
        names = self.column_names()
        if all_if_none and columns is None and not any(by_domain.values()):
            by_domain = dict.fromkeys(DOMAINS, "*")
        return chosen(f"FeatureSet `{self.label}`", names, by_domain, columns=columns, rep=rep)

    def _given(self, names: list[ColumnName], fmt: str, *, rep: bool, prefix: bool) -> Any:
        if not rep:
            names = one_rep_each(f"FeatureSet `{self.label}`", names)
        return in_format(
            {name.shown(domain=prefix, rep=rep): self.array(name) for name in names}, fmt
        )

    def _shown(self, domain: Domain, *, rep: bool, prefix: bool) -> list[str]:
        names = [name for name in self.column_names() if name.domain == domain]
        return list(dict.fromkeys(name.shown(domain=prefix, rep=rep) for name in names))

    def _shapes(self, domain: Domain, *, rep: bool, prefix: bool) -> dict[str, Shape]:
        return {
            name.shown(domain=prefix, rep=rep): self.source.stored(name).shape[1:]
            for name in self.column_names()
            if name.domain == domain
        }

    def _dtypes(self, domain: Domain, *, rep: bool, prefix: bool) -> dict[str, str]:
        return {
            name.shown(domain=prefix, rep=rep): dtype_name(self.source.stored(name))
            for name in self.column_names()
            if name.domain == domain
        }


def dtype_name(array: NDArray[Any]) -> str:
    """numpy's name of a type; `string` for every text."""
    return array.dtype.name if array.dtype.kind in "biuf" else "string"
