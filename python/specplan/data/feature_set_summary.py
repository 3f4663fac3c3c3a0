"""A FeatureSet as a text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.data.column_array import shown_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.data.feature_set import FeatureSet

_COLUMNS = ["column", "kind", "dtype", "row shape"]
_SPLITS = ["split", "rows"]
_OVERLAPS = ["in both", "rows"]


def summary_of(feature_set: FeatureSet, *, overlaps: bool = False) -> str:
    """The columns, splits and scalers; with `overlaps` also which splits share rows."""
    columns = feature_set.columns
    rows = [
        [
            name.key,
            name.domain,
            shown_dtype(columns[name.key].dtype),
            str(columns[name.key].shape[1:]),
        ]
        for name in map(feature_set.raw, columns)
    ]
    lines = [f"{feature_set.label}: {len(feature_set)} rows", *_aligned([_COLUMNS, *rows])]
    splits = feature_set.splits
    if splits:
        lines += _aligned([_SPLITS, *([name, str(len(view))] for name, view in splits.items())])
    if overlaps and (shared := feature_set.overlaps()):
        lines += _aligned(
            [_OVERLAPS, *([f"{one} and {other}", str(n)] for one, other, n in shared)]
        )
    return "\n".join([*lines, *feature_set.transforms.described()])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
