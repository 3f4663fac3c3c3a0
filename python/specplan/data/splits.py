"""The splits of a FeatureSet: which rows each has, and what made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.data.context import checked_label
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from specplan.data.column_names import ColumnName


class Split(msgspec.Struct, frozen=True):
    """Which rows a split has, and which columns it lets see; None for all."""

    rows: NDArray[np.int64]
    columns: tuple[ColumnName, ...] | None = None


class Splits:
    """Splits by label, in the order in which they were made.

    Attributes:
        splitter: the splitter of a spec that makes all of them; None where there is none.
    """

    def __init__(self) -> None:
        self.splitter: dict[str, Any] | None = None
        self._found: dict[str, Split] = {}

    def absent(self, label: str, *, of: str) -> str:
        """What is said where the FeatureSet `of` has no split of this label."""
        known = choices(label, self._found)
        return f"FeatureSet `{of}` has no split `{label}`; available: {known}"

    def add(
        self,
        found: Mapping[str, NDArray[np.int64]],
        component: dict[str, Any] | None,
        columns: tuple[ColumnName, ...] | None,
        *,
        of: str,
    ) -> None:
        """Take rows as splits; `component` is the splitter of a spec that makes the same ones.

        Raises:
            ValueError: a split of that label is there already, has no rows, or cannot be labelled so.
        """
        taken = [name for name in found if name in self._found]
        if taken:
            raise ValueError(
                f"FeatureSet `{of}` has the splits {quoted(taken)} already; "
                f"it has: {quoted(self._found)}"
            )
        for name, rows in found.items():
            if not len(rows):
                raise ValueError(f"split `{checked_label(name)}` of `{of}` has no rows")
        self.splitter = None if self._found else component
        self._found |= {checked_label(name): Split(rows, columns) for name, rows in found.items()}

    def clear(self) -> None:
        """Forget all of them."""
        self._found.clear()
        self.splitter = None

    def copy(self) -> Splits:
        """The same splits, which change by themselves from now on."""
        made = Splits()
        made._found, made.splitter = dict(self._found), self.splitter
        return made

    def overlaps(self) -> list[tuple[str, str, int]]:
        """Each pair of splits that share rows, and how many."""
        labels = list(self._found)
        found = [
            (first, second, len(np.intersect1d(self._found[first].rows, self._found[second].rows)))
            for position, first in enumerate(labels)
            for second in labels[position + 1 :]
        ]
        return [pair for pair in found if pair[2]]

    def __getitem__(self, label: str) -> Split:
        return self._found[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, label: object) -> bool:
        return label in self._found

    def equals(self, other: Splits) -> bool:
        """Whether both have the same labels in the same order, with the same rows."""
        return list(self) == list(other) and all(
            np.array_equal(split.rows, other[label].rows) for label, split in self._found.items()
        )
