"""Scalers of our own: of signs, of single rows, and of parts of rows.

A row is scaled and taken back alone, so what was taken off each row is kept from the last `transform`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from specplan.data.scaling import Scaling


class Negate:
    """The value with the other sign."""

    component: Mapping[str, Any] = {"use": "negate"}
    state: Mapping[str, Any] = {}

    def fit(self, rows: NDArray[Any]) -> None:
        """Learns nothing."""

    def transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows, negated."""
        return -rows

    def inverse_transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows, negated."""
        return -rows

    def __repr__(self) -> str:
        return "Negate()"


class _OfRows:
    """What is kept of each row, until other rows are scaled."""

    state: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self._kept: tuple[NDArray[Any], ...] = ()

    def fit(self, rows: NDArray[Any]) -> None:
        """Learns nothing."""

    def _of(self, rows: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        known = len(self._kept[0]) if self._kept else 0
        if len(rows) != known:
            raise ValueError(
                f"{type(self).__name__} is taken back for the {known} rows that it scaled last, "
                f"not for {len(rows)}: each row had its own scale"
            )
        return self._kept


class Absolute(_OfRows):
    """The absolute value."""

    component: Mapping[str, Any] = {"use": "absolute"}

    def transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows without signs, which are kept."""
        self._kept = (np.signbit(rows),)
        found: NDArray[Any] = np.abs(rows)
        return found

    def inverse_transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows with their signs; raises ValueError for other rows."""
        (negative,) = self._of(rows)
        found: NDArray[Any] = np.where(negative, -rows, rows)
        return found

    def __repr__(self) -> str:
        return "Absolute()"


class PerSampleZeroStart(_OfRows):
    """Each row without its first value."""

    component: Mapping[str, Any] = {"use": "per_sample_zero_start"}

    def transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows from 0 on."""
        self._kept = (rows[:, :1].copy(),)
        found: NDArray[Any] = rows - rows[:, :1]
        return found

    def inverse_transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows from where they began; raises ValueError for other rows."""
        (first,) = self._of(rows)
        found: NDArray[Any] = rows + first
        return found

    def __repr__(self) -> str:
        return "PerSampleZeroStart()"


class PerSampleMinMaxScaler(_OfRows):
    """Each row from its own smallest to its own largest value; a row of one value becomes the least."""

    def __init__(self, feature_range: Sequence[float] = (0.0, 1.0)) -> None:
        super().__init__()
        self._low, self._high = feature_range
        self.component: Mapping[str, Any] = {
            "use": "per_sample_min_max",
            "feature_range": [self._low, self._high],
        }

    def transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows between the bounds."""
        least = rows.min(axis=1, keepdims=True)
        span = rows.max(axis=1, keepdims=True) - least
        span = np.where(span == 0, np.ones_like(span), span)
        self._kept = (least, span)
        found: NDArray[Any] = (rows - least) / span * (self._high - self._low) + self._low
        return found

    def inverse_transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows between their own bounds; raises ValueError for other rows."""
        least, span = self._of(rows)
        found: NDArray[Any] = (rows - self._low) / (self._high - self._low) * span + least
        return found

    def __repr__(self) -> str:
        return f"PerSampleMinMaxScaler(feature_range=({self._low:g}, {self._high:g}))"


class Segments:
    """A scaler for each part of a row."""

    def __init__(self, boundaries: Sequence[int], parts: Sequence[Scaling]) -> None:
        self._spans = [slice(start, end) for start, end in pairwise(boundaries)]
        self._parts = parts

    def fit(self, rows: NDArray[Any]) -> None:
        """Fit each part; raises ValueError where it cannot."""
        for span, part in zip(self._spans, self._parts, strict=True):
            part.fit(rows[:, span])

    def transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows, scaled part by part."""
        parts = zip(self._spans, self._parts, strict=True)
        return np.concatenate([part.transform(rows[:, span]) for span, part in parts], axis=1)

    def inverse_transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows as they were; raises ValueError where that cannot be known."""
        parts = zip(self._spans, self._parts, strict=True)
        return np.concatenate(
            [part.inverse_transform(rows[:, span]) for span, part in parts], axis=1
        )

    @property
    def state(self) -> dict[str, Any]:
        """What was learned, part by part."""
        return {"parts": [dict(part.state) for part in self._parts]}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        for part, learned in zip(self._parts, state["parts"], strict=True):
            part.state = learned
