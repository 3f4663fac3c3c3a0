"""Rows of data that a Python program holds."""

from __future__ import annotations

import uuid
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.column_names import (
    RAW,
    TRANSFORMED,
    ColumnName,
    Domain,
    Keys,
    chosen,
    listed,
)
from specplan.data.context import active_context, checked_label
from specplan.data.feature_set_section import section_of, table_of
from specplan.data.feature_set_sources import (
    columns_from_arrow,
    columns_from_dict,
    columns_from_file,
    domain_keys,
    read_file_of,
    rows_of_frame,
)
from specplan.data.feature_set_summary import summary_of
from specplan.data.feature_set_view import FeatureSetView
from specplan.data.reference import column_reference_to, reference_to
from specplan.data.samples import Samples
from specplan.data.splits import Splits
from specplan.data.transforms import Transforms
from specplan.spec.wording import choices

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas
    import pyarrow as pa
    from numpy.typing import NDArray

    from specplan.data.feature_set_sources import ReadFile
    from specplan.data.reference import ColumnReference, FeatureSetReference
    from specplan.data.scalers import Scaler


class FeatureSet(Samples):
    """Named columns of equal length, each a feature, a target or a tag.

    The arrays are copies: changing what was passed in later changes nothing here. What scalers make of
    a column stands beside it as its representation `transformed`.

    Attributes:
        id: unique for this object.
        transforms: the scalers that were applied.
    """

    def __init__(
        self,
        label: str,
        columns: Mapping[str, NDArray[Any]],
        domains: Mapping[str, Domain],
        *,
        uuids: NDArray[np.str_] | None = None,
        register: bool = True,
    ) -> None:
        self._columns = dict(columns)
        self._domains = dict(domains)
        self._uuids = uuids
        self._file: ReadFile | None = None
        self._splits = Splits()
        self.transforms = Transforms()
        self.id = str(uuid.uuid4())
        self.label = checked_label(label)
        if register:
            self.label = active_context().register("node", self.label, self)

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
        keys = domain_keys(feature_keys, target_keys, tag_keys)
        return cls(label, *columns_from_dict(label, data, keys))

    @classmethod
    def from_pandas(
        cls,
        label: str,
        df: pandas.DataFrame,
        feature_cols: Keys,
        target_cols: Keys,
        group_by: Keys | None = None,
        tag_cols: Keys | None = None,
        sort_by: Keys | None = None,
    ) -> FeatureSet:
        """Make a FeatureSet of columns of a DataFrame.

        Args:
            label: name by which references find it; unique in the context.
            df: the DataFrame; its index is not read.
            feature_cols: columns that are features.
            target_cols: columns that are targets.
            group_by: columns of which rows that agree in them are one sample: each value of the sample
                is an array of what they have, a tag a single value where they agree in it.
            tag_cols: columns that only describe a sample.
            sort_by: columns by which the rows of a sample are ordered.

        Raises:
            TypeError: it is no DataFrame.
            ValueError: there is no such column, or groups differ in their number of rows.
        """
        keys = domain_keys(feature_cols, target_cols, tag_cols)
        data = rows_of_frame(label, df, keys, listed(group_by), listed(sort_by))
        return cls(label, *columns_from_dict(label, data, keys))

    @classmethod
    def from_parquet(
        cls,
        label: str,
        path: str | os.PathLike[str],
        feature_keys: Keys,
        target_keys: Keys,
        tag_keys: Keys | None = None,
    ) -> FeatureSet:
        """Make a FeatureSet of columns of a Parquet file, with the rows that a `parquet` source of a spec has.

        Plans read the file, as long as nobody changes it and splits and scalers are such as a spec can write.

        Args:
            label: name by which references find it; unique in the context.
            path: the file; other columns of it are not read.
            feature_keys: columns that are features.
            target_keys: columns that are targets.
            tag_keys: columns that only describe a row.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no Parquet file, has no such column, or a column holds nulls or rows of
                different shapes.
        """
        keys = domain_keys(feature_keys, target_keys, tag_keys)
        file = Path(path)
        before = read_file_of(file) if file.is_file() else None
        made = cls(label, *columns_from_file(label, file, "parquet", keys))
        made._file = before
        return made

    @classmethod
    def from_csv(
        cls,
        label: str,
        path: str | os.PathLike[str],
        feature_keys: Keys,
        target_keys: Keys,
        tag_keys: Keys | None = None,
    ) -> FeatureSet:
        """Make a FeatureSet of columns of a CSV file, whose first line names them.

        A column whose values are all numbers is one of numbers, any other one of text. The arguments are
        those of `from_parquet`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no CSV file, has no such column, or a column holds empty values.
        """
        keys = domain_keys(feature_keys, target_keys, tag_keys)
        return cls(label, *columns_from_file(label, Path(path), "csv", keys))

    @classmethod
    def from_pyarrow_table(
        cls, label: str, table: pa.Table, *, register: bool = True
    ) -> FeatureSet:
        """Make a FeatureSet of a table with columns `features.voltage.raw`, as `to_arrow` gives it.

        A column `sample_uuids` is taken as the ids of the rows; `transformed` columns are left out,
        since a table does not say what made them.

        Raises:
            TypeError: it is no table.
            ValueError: a column has another name, is named twice, or holds nulls or rows of different
                shapes.
        """
        columns, domains, uuids = columns_from_arrow(label, table)
        return cls(label, columns, domains, uuids=uuids, register=register)

    # ---- files

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = False) -> Path:  # noqa: FBT001, FBT002 -- as documented
        """Write rows, splits and scalers to `<filepath>.fs.mml`; returns its path.

        Raises:
            FileExistsError: it is there already, and is not to be overwritten.
            ValueError: a scaler is an object of the program's, or its split is another one now.
        """
        from specplan.data.feature_set_file import save_feature_set

        return save_feature_set(self, filepath, overwrite=overwrite)

    @classmethod
    def load(cls, filepath: str | os.PathLike[str], overwrite: bool = False) -> FeatureSet:  # noqa: FBT001, FBT002 -- as documented
        """Read what `save` wrote, and register it in the active context.

        Args:
            filepath: the file.
            overwrite: whether it takes the place of another one of its label, whatever the policy says.

        Raises:
            FileNotFoundError: there is no such file.
            ArchiveError: it is damaged, or no FeatureSet.
            ValueError: its label is taken, and the policy is "raise".
        """
        from specplan.data.feature_set_file import load_feature_set

        made = load_feature_set(filepath)
        made.label = active_context().register(
            "node", made.label, made, policy="overwrite" if overwrite else None
        )
        return made

    # ---- rows and columns

    @property
    def source(self) -> FeatureSet:
        """The FeatureSet itself."""
        return self

    @property
    def rows(self) -> None:
        """None: all rows are here."""
        return

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(next(iter(self._columns.values())))

    @property
    def uuids(self) -> NDArray[np.str_]:
        """An id for each row, made when they are first asked for."""
        if self._uuids is None:
            self._uuids = np.array([str(uuid.uuid4()) for _ in range(self.row_count)])
            self._uuids.flags.writeable = False
        return self._uuids

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """The raw columns by key, each of shape (rows, *shape), read-only."""
        return dict(self._columns)

    @property
    def file(self) -> Path | None:
        """The Parquet file that the rows are from, if it is still as it was when they were read."""
        return None if self._file is None else self._file.unchanged

    @property
    def table(self) -> dict[str, NDArray[Any]]:
        """The columns that the spec of an experiment reads: the raw ones, and those that say which rows splits have."""
        return table_of(self)

    def section(self) -> dict[str, Any]:
        """The FeatureSet as it stands in a spec under `data`.

        Raises:
            ValueError: a scaler was fitted on a split that is another one now.
        """
        return section_of(self)

    def column_names(self) -> list[ColumnName]:
        """The columns in every representation, by domain."""
        return [
            ColumnName(domain, key, rep)
            for key, domain in self._domains.items()
            for rep in (RAW, TRANSFORMED)
            if rep == RAW or key in self.transforms
        ]

    def stored(self, name: ColumnName) -> NDArray[Any]:
        """All rows of one column, read-only."""
        return self._columns[name.key] if name.rep == RAW else self.transforms.values(name.key)

    def raw(self, key: str) -> ColumnName:
        """The name of what was given for a key."""
        return ColumnName(self._domains[key], key, RAW)

    def keys(self, domain: Domain) -> list[str]:
        """Keys of the columns of one kind, in the order in which they were given."""
        return [name for name, of in self._domains.items() if of == domain]

    def key_column(self, parameter: str, key: str) -> str:
        """The key of a column that can make groups or strata, which may be named in full.

        Raises:
            ValueError: there is no such column, or it can make none.
        """
        _, _, rest = key.partition(".")
        name = key if key in self._columns else rest.removesuffix(f".{RAW}")
        if name not in self._columns:
            raise ValueError(
                f"{parameter}: FeatureSet `{self.label}` has no key `{key}`; "
                f"it has: {choices(key, self._columns)}"
            )
        column = self._columns[name]
        if column.ndim > 1 or column.dtype.kind == "f":
            raise ValueError(
                f"{parameter}: `{name}` has rows of {column.dtype} {column.shape[1:]}; "
                "it needs text, integers or booleans, one a row"
            )
        return name

    # ---- splits

    @property
    def available_splits(self) -> list[str]:
        """Labels of the splits."""
        return list(self._splits)

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return len(self._splits)

    @property
    def splits(self) -> dict[str, FeatureSetView]:
        """The splits by label."""
        return {name: self.get_split(name) for name in self._splits}

    @property
    def splitter(self) -> dict[str, Any] | None:
        """The splitter of a spec that makes all of the splits; None where there is none."""
        return self._splits.splitter

    def get_split(self, split_name: str) -> FeatureSetView:
        """The rows of a split.

        Raises:
            ValueError: there is no such split.
        """
        self.check_split(split_name)
        split = self._splits[split_name]
        return FeatureSetView(self, split.rows, split.columns, split_name)

    def __getitem__(self, key: str) -> FeatureSetView:
        if key not in self._splits:
            raise KeyError(self._splits.absent(key, of=self.label))
        return self.get_split(key)

    def check_split(self, split: str | None) -> None:
        """Raise ValueError unless `split` is one of the splits, or None for all rows."""
        if split is not None and split not in self._splits:
            raise ValueError(self._splits.absent(split, of=self.label))

    def add_split(self, split: FeatureSetView) -> None:
        """Make a view a split, under its label.

        Raises:
            TypeError: it is no view.
            ValueError: it is of another FeatureSet, has no rows, or its label is taken or cannot be one.
        """
        if not isinstance(split, FeatureSetView):
            raise TypeError(f"a split is made of a FeatureSetView, not of a {type(split).__name__}")
        if split.source is not self:
            raise ValueError(
                f"`{split.label}` has rows of FeatureSet `{split.source.label}`, not of `{self.label}`"
            )
        self.divide({split.label: split.indices}, None, split.columns_seen)

    def clear_splits(self) -> None:
        """Forget all splits."""
        self._splits.clear()

    def overlaps(self) -> list[tuple[str, str, int]]:
        """Each pair of splits that share rows, and how many."""
        return self._splits.overlaps()

    def divide(
        self,
        found: Mapping[str, NDArray[np.int64]],
        component: dict[str, Any] | None,
        columns: tuple[ColumnName, ...] | None = None,
    ) -> None:
        """Take rows as splits; `component` is the splitter of a spec that makes the same ones.

        Raises:
            ValueError: a split of that label is there already, has no rows, or cannot be labelled so.
        """
        self._splits.add(found, component, columns, of=self.label)

    def split_by(self, component: dict[str, Any] | None) -> None:
        """Say which splitter of a spec makes the splits that are there; None for none."""
        self._splits.splitter = component

    # ---- scalers

    def fit_transform(
        self,
        scaler: Scaler | object,
        *,
        domain: Domain,
        keys: Keys | None = None,
        fit_to_split: str | None = None,
    ) -> None:
        """Fit a scaler and put what it makes of every row into the representation `transformed`.

        Columns that are transformed already are transformed further. Several columns are joined, with
        each row flattened, before the scaler sees them.

        Args:
            scaler: name of a scaler, in any case; its class; an instance; or a Scaler.
            domain: "features" or "targets".
            keys: columns; all of the domain for None.
            fit_to_split: split whose rows the scaler learns from; all rows for None.

        Raises:
            TypeError: it is no scaler.
            ValueError: there is no such scaler, column or split, or the scaler does not fit the columns.
        """
        self.transforms.add(self, scaler, domain, self._of_domain(domain, keys), fit_to_split)

    def undo_last_transform(self, domain: Domain, keys: Keys | None = None) -> None:
        """Take back the last scaler on columns of a domain; nothing where there is none.

        Raises:
            ValueError: there is no such column, or the scaler was fitted on others together with it.
        """
        self.transforms.undo_last(self._of_domain(domain, keys))

    def undo_all_transforms(self, domain: Domain | None = None, keys: Keys | None = None) -> None:
        """Take back all scalers, or those on columns of a domain.

        Raises:
            ValueError: as `undo_last_transform` does.
        """
        names = list(self._domains) if domain is None else self._of_domain(domain, keys)
        while any(name in self.transforms for name in names):
            self.transforms.undo_last(names)

    def unscale_data_for_cols(
        self, *, data: NDArray[Any], domain: Domain, columns: Keys
    ) -> NDArray[Any]:
        """Scaled values, such as predictions, as they would be without the scalers of some columns.

        Args:
            data: one row for each sample; its elements are those of the columns, joined.
            domain: "features" or "targets".
            columns: the columns that the values are of.

        Raises:
            ValueError: the values are not of the columns' size, or a scaler cannot be taken back.
        """
        return self.transforms.unscaled(data, self._of_domain(domain, columns))

    def _of_domain(self, domain: Domain, keys: Keys | None) -> list[str]:
        if domain not in ("features", "targets", "tags"):
            raise ValueError(f"domain is `features`, `targets` or `tags`, not {domain!r}")
        names = chosen(
            f"FeatureSet `{self.label}`",
            [ColumnName(domain, key, RAW) for key in self.keys(domain)],
            {domain: keys or "*"},
        )
        wanted = [name.key for name in names]
        given = listed(keys)
        return given if sorted(given) == sorted(wanted) else wanted

    # ---- copies and references

    def copy(
        self,
        *,
        label: str | None = None,
        share_raw_data_buffer: bool = True,
        restore_splits: bool = False,
        restore_scalers: bool = False,
        register: bool = False,
    ) -> FeatureSet:
        """A FeatureSet of the same rows, with their ids.

        Args:
            label: of the copy; this label with `_copy` for None.
            share_raw_data_buffer: whether both have the same arrays, which nothing changes.
            restore_splits: whether the copy has the splits.
            restore_scalers: whether the copy has the scalers, and what they made.
            register: whether the copy is registered in the active context.

        Raises:
            ValueError: the label is taken, or cannot be one.
        """
        columns = self._columns
        if not share_raw_data_buffer:
            columns = {key: _read_only(array.copy()) for key, array in columns.items()}
        made = FeatureSet(
            label or f"{self.label}_copy",
            columns,
            self._domains,
            uuids=self.uuids,
            register=register,
        )
        made._file = self._file
        if restore_splits:
            made._splits = self._splits.copy()
        if restore_scalers:
            made.transforms = self.transforms.copy()
        return made

    def reference(
        self,
        features: Keys | None = None,
        targets: Keys | None = None,
        tags: Keys | None = None,
        *,
        rep: str | None = None,
    ) -> FeatureSetReference:
        """Name the columns that a node reads; None stands for all columns of the kind.

        Args:
            features: keys, keys with their representation, or patterns with `*`.
            targets: the same of targets.
            tags: the same of tags.
            rep: `raw` or `transformed`; needed where a column has both.

        Raises:
            ValueError: a key is not a column of this kind, or has several representations.
        """
        return reference_to(self, {"features": features, "targets": targets, "tags": tags}, rep)

    def column_reference(
        self,
        column: str | None = None,
        *,
        feature: str | None = None,
        target: str | None = None,
        tag: str | None = None,
        rep: str | None = None,
    ) -> ColumnReference:
        """Name one column.

        Raises:
            ValueError: none or several are named, or the one has several representations.
        """
        by_domain: dict[Domain, Keys | None] = {
            "features": feature,
            "targets": target,
            "tags": tag,
        }
        return column_reference_to(self, by_domain, column, rep)

    def visualize(self, show_overlaps: bool = False) -> None:  # noqa: FBT001, FBT002 -- as documented
        """Print a table of the columns and splits, and of splits that share rows, if that is wanted."""
        print(summary_of(self, overlaps=show_overlaps))  # noqa: T201 -- to show it is what the caller asks for

    def summary(self) -> str:
        """The columns, splits and scalers as a text."""
        return summary_of(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FeatureSet):
            return NotImplemented
        columns = other.columns
        return (
            self.label == other.label
            and [str(name) for name in self.column_names()]
            == [str(name) for name in other.column_names()]
            and len(self) == len(other)
            and all(_same(array, columns[key]) for key, array in self._columns.items())
            and self._splits.equals(other._splits)
            and self.transforms == other.transforms
        )

    # Contexts and graphs keep FeatureSets by identity; equal ones have one label, hence one hash.
    def __hash__(self) -> int:
        return hash(self.label)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.summary())}</pre>"

    def __repr__(self) -> str:
        kinds = ", ".join(
            f"{domain}={self.keys(domain)}" for domain in ("features", "targets", "tags")
        )
        return (
            f"FeatureSet(label={self.label!r}, rows={len(self)}, {kinds}, "
            f"splits={self.available_splits})"
        )


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    floats = first.dtype.kind == second.dtype.kind == "f"
    return np.array_equal(first, second, equal_nan=floats)
