"""What one look at every row of a FeatureSet shows, and how it is said."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from specplan._native import ColumnScan, Division, Leak, RowScan
    from specplan.data.cut import Cut

FOLD_LEAK_HINT = "keep rows of one origin together with `group_by`"
LEAK_HINT = (
    "keep rows of one origin together with `group_by`, or say `leaks: allow` if they may be equal"
)
OVERLAP_HINT = "train and judge on splits that share no row, or say `leaks: allow` if they may"
# Where fewer rows differ, they are of a few kinds and coincide by chance.
_LEAST_DISTINCT = 0.1


def leak(scan: RowScan, inputs: int, cut: Cut, read: Collection[str | None]) -> str | None:
    """What to warn of where rows of one split are in another; None where there is nothing.

    `scan` is of the inputs, of which there are so many, and then the targets. Only splits in `read`
    count. Rows of whole numbers, and those of few kinds, coincide by chance.
    """
    names = list(cut.sizes)
    leaks = _leaks(scan, inputs, cut.division(), sum(cut.cells))
    # The rows that are in no split come after the last one.
    leaks = [leak for leak in leaks if max(leak.first, leak.second) < len(names)]
    leaks = [leak for leak in leaks if {names[leak.first], names[leak.second]} <= set(read)]
    return "; ".join(_said(leak, names) for leak in leaks) or None


def fold_leak(
    scan: RowScan, inputs: int, parts: Sequence[NDArray[np.int64]], rows: int
) -> str | None:
    """As `leak`, of the parts that the folds of a group leave out, of a table with so many rows."""
    import numpy as np

    from specplan._native import Division, Keys

    outside = len(parts)
    part_of = np.full(rows, outside, np.uint32)
    for index, part in enumerate(parts):
        part_of[part] = index
    numbers = [str(index) for index in range(outside + 1)]
    keys = Keys([(part_of.tobytes(), numbers)])
    cells = np.zeros((len(keys.counts), outside + 1), np.int64)
    for key, count in enumerate(keys.counts):
        cells[key, int(keys.texts(key)[0])] = count
    division = Division(rows, cells.ravel().tolist(), outside + 1, keys=keys)
    leaks = [leak for leak in _leaks(scan, inputs, division, rows) if leak.second != outside]
    if not leaks:
        return None
    later, earlier = min(leak.example for leak in leaks)
    return (
        "parts that folds leave out share rows, so that what is learned from is measured: "
        f"row {later} of the data equals row {earlier}"
    )


def _leaks(scan: RowScan, inputs: int, division: Division, rows: int) -> list[Leak]:
    if not any(column.has_fractions for column in scan.columns[:inputs]):
        return []
    distinct, leaks = scan.compare(division)
    return leaks if distinct >= _LEAST_DISTINCT * rows else []


def overlap(cut: Cut, read: Collection[str | None]) -> str | None:
    """What to warn of where splits in `read` share rows, as those made by hand may; None where none do."""
    import numpy as np

    if cut.chosen is None:
        return None
    found = []
    for first, second in combinations([name for name in cut.chosen if name in read], 2):
        shared = len(np.intersect1d(cut.chosen[first], cut.chosen[second]))
        if shared:
            said = "1 row is" if shared == 1 else f"{shared} rows are"
            found.append(f"{said} in both `{first}` and `{second}`")
    return "; ".join(found) or None


def _said(leak: Leak, names: Sequence[str]) -> str:
    one = leak.rows == 1
    later, earlier = leak.example
    return (
        f"{leak.rows} {'row' if one else 'rows'} of `{names[leak.second]}` {'is' if one else 'are'} "
        f"also in `{names[leak.first]}`, {'where' if one else 'such as'} row {later} "
        f"{'of the data equals' if one else 'of the data, which equals'} row {earlier}"
    )


def not_finite(name: str, column: ColumnScan) -> str:
    """What to say of a column with values that are not finite."""
    if column.not_finite == 1:
        return f"column `{name}` is not finite in row {column.first_not_finite}"
    return (
        f"column `{name}` has {column.not_finite} values that are not finite, "
        f"the first in row {column.first_not_finite}"
    )


def quoted_splits(names: Collection[str]) -> str:
    """Names of splits for a message."""
    return quoted(sorted(names))
