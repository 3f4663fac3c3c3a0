"""Some rows and columns of a FeatureSet, without a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from specplan.data.column_names import ColumnName
    from specplan.data.feature_set import FeatureSet


class FeatureSetView(Samples):
    """Rows of a FeatureSet in an order of their own. Only the label can be changed.

    Attributes:
        indices: the numbers of the rows in the FeatureSet.
    """

    def __init__(
        self,
        source: FeatureSet,
        indices: NDArray[np.int64],
        columns: Sequence[ColumnName] | None,
        label: str,
    ) -> None:
        frozen = np.array(indices, dtype=np.int64)
        frozen.flags.writeable = False
        values: dict[str, Any] = {
            "_source": source,
            "indices": frozen,
            "_columns": None if columns is None else tuple(columns),
            "label": label,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    if TYPE_CHECKING:
        indices: NDArray[np.int64]
        _source: FeatureSet
        _columns: tuple[ColumnName, ...] | None

    @property
    def source(self) -> FeatureSet:
        """The FeatureSet that holds the rows."""
        return self._source

    @property
    def rows(self) -> NDArray[np.int64]:
        """The numbers of the rows in the FeatureSet."""
        return self.indices

    @property
    def columns(self) -> list[str]:
        """Full names of the columns."""
        return [str(name) for name in self.column_names()]

    @property
    def columns_seen(self) -> tuple[ColumnName, ...] | None:
        """The columns that were selected; None for all that the FeatureSet has at any time."""
        return self._columns

    def column_names(self) -> list[ColumnName]:
        """The columns in every representation, by domain."""
        known = self._source.column_names()
        return known if self._columns is None else [name for name in known if name in self._columns]

    def __setattr__(self, name: str, value: object) -> None:
        if name != "label":
            raise AttributeError(f"`{name}` of a view cannot be changed; make another view")
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, FeatureSetView)
            and self._source is other._source
            and self.column_names() == other.column_names()
            and np.array_equal(self.indices, other.indices)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"FeatureSetView(source={self._source.label!r}, label={self.label!r}, "
            f"rows={len(self)}, columns={self.columns})"
        )
