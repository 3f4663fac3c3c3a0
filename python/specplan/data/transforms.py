"""The scalers that were applied to the columns of a FeatureSet, one after the other."""

from __future__ import annotations

import warnings
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.components import COMPONENTS
from specplan.data.column_names import RAW, TRANSFORMED, ColumnName
from specplan.data.scaler_faults import fault
from specplan.data.scalers import Scaler, inverse
from specplan.data.scaling import joined, scaled
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from specplan.data.column_names import Domain
    from specplan.data.feature_set import FeatureSet


class Transform(msgspec.Struct, frozen=True):
    """One scaler on some columns.

    Attributes:
        fit_rows: the rows that it learned from; None for all.
        values: what it made of each column.
    """

    scaler: Scaler
    domain: Domain
    keys: tuple[str, ...]
    split: str | None
    fit_rows: NDArray[np.int64] | None
    values: Mapping[str, NDArray[Any]]


class Transforms:
    """The scalers of a FeatureSet, in the order in which they were applied."""

    def __init__(self, applied: Iterable[Transform] = ()) -> None:
        self._applied = list(applied)

    def __contains__(self, key: object) -> bool:
        return any(key in transform.keys for transform in self._applied)

    def __iter__(self) -> Iterator[Transform]:
        return iter(self._applied)

    def __len__(self) -> int:
        return len(self._applied)

    def values(self, key: str) -> NDArray[Any]:
        """All rows of a transformed column, read-only."""
        return next(each.values[key] for each in reversed(self._applied) if key in each.keys)

    def add(
        self,
        feature_set: FeatureSet,
        scaler: Scaler | object,
        domain: Domain,
        keys: Sequence[str],
        split: str | None,
    ) -> None:
        """Fit a scaler on the columns as they are now, and apply it.

        Raises:
            TypeError, ValueError: as `FeatureSet.fit_transform` does.
        """
        fit_rows = None if split is None else feature_set.get_split(split).indices
        fitted = Scaler(scaler).clone_unfitted()
        columns = [self.now(feature_set, domain, key) for key in keys]
        where = f"FeatureSet `{feature_set.label}`: {fitted.scaler_name} of {quoted(keys)}"
        _check_columns(where, fitted, keys, columns)
        try:
            values = scaled(fitted.scaling, columns, fit_rows)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        fitted.fitted()
        made = dict(zip(keys, values, strict=True))
        self._applied.append(Transform(fitted, domain, tuple(keys), split, fit_rows, made))

    def attach(self, transform: Transform) -> None:
        """Take a scaler that was applied elsewhere to the same columns."""
        self._applied.append(transform)

    def undo_last(self, keys: Sequence[str]) -> None:
        """Take back the last scaler on any of `keys`.

        Raises:
            ValueError: it was fitted on other columns as well.
        """
        for index in range(len(self._applied) - 1, -1, -1):
            touched = self._applied[index].keys
            if set(touched) & set(keys):
                others = [key for key in touched if key not in keys]
                if others:
                    name = self._applied[index].scaler.scaler_name
                    raise ValueError(
                        f"{name} was fitted on {quoted(touched)} together; take it back for "
                        f"{quoted(others)} as well"
                    )
                del self._applied[index]
                return

    def unscaled(self, data: NDArray[Any], keys: Sequence[str]) -> NDArray[Any]:
        """Values of some columns as they are without their scalers, in the shape in which they came.

        Raises:
            ValueError: there are other elements in a row, the columns were scaled with others, or a
                scaler cannot be taken back.
        """
        array = np.asarray(data)
        rows = joined([array.reshape(len(array), -1)])
        touching = [each for each in self._applied if set(each.keys) & set(keys)]
        if not touching:
            warnings.warn(f"{quoted(keys)} have no scaler to take back", stacklevel=3)
        for transform in reversed(touching):
            if tuple(keys) != transform.keys:
                raise ValueError(
                    f"{transform.scaler.scaler_name} scales {quoted(transform.keys)} together, so values "
                    f"of {quoted(keys)} alone cannot be taken back"
                )
            elements = sum(prod(values.shape[1:]) for values in transform.values.values())
            if rows.shape[1] != elements:
                raise ValueError(
                    f"{quoted(keys)} have {elements} elements in a row, the data have {rows.shape[1]}"
                )
            rows = inverse(transform.scaler.scaling, rows)
        return rows.reshape(array.shape)

    def copy(self) -> Transforms:
        """The same scalers; those that come later belong to one of both."""
        return Transforms(self._applied)

    def described(self) -> list[str]:
        """A line for each scaler."""
        return [
            f"  {transform.scaler.scaler_name} of {', '.join(transform.keys)}, fitted on "
            f"{transform.split or 'all rows'}"
            for transform in self._applied
        ]

    def now(self, feature_set: FeatureSet, domain: Domain, key: str) -> NDArray[Any]:
        """All rows of a column, as the scalers so far leave it."""
        rep = TRANSFORMED if key in self else RAW
        return feature_set.stored(ColumnName(domain, key, rep))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Transforms):
            return NotImplemented
        return [_meaning(each) for each in self._applied] == [
            _meaning(each) for each in other._applied
        ] and all(
            np.array_equal(first.values[key], second.values[key], equal_nan=True)
            for first, second in zip(self._applied, other._applied, strict=True)
            for key in first.keys
        )

    __hash__ = None  # type: ignore[assignment]


def _meaning(transform: Transform) -> tuple[object, ...]:
    return transform.scaler, transform.domain, transform.keys, transform.split


def _check_columns(
    where: str, scaler: Scaler, keys: Sequence[str], columns: Sequence[NDArray[Any]]
) -> None:
    for key, column in zip(keys, columns, strict=True):
        if column.dtype.kind not in "biuf":
            raise ValueError(f"{where}: `{key}` is text; a scaler takes numbers")
    if scaler.component is None:
        return
    use = scaler.component["use"]
    declared: Any = msgspec.convert(scaler.component, COMPONENTS["scaler"][use])
    found = fault(declared, sum(prod(column.shape[1:]) for column in columns))
    if found is not None:
        raise ValueError(f"{where}: `{found[0]}`: {found[1]}")
