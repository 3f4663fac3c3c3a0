"""What a FeatureSet is in a spec, and the columns that the spec then reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.column_names import DOMAINS, TRANSFORMED, ColumnName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.data.feature_set import FeatureSet

_SPLIT = "split."
"""Before the name of a split in the name of the column that says which rows it has."""


def section_of(feature_set: FeatureSet) -> dict[str, Any]:
    """The FeatureSet as it stands under `data`.

    Its source is the file that has its rows, if that has all of the columns; else it is bound under its label.

    Raises:
        ValueError: a scaler was fitted on a split that is another one now.
    """
    bound = _live_columns(feature_set)
    section: dict[str, Any] = {"source": _source(feature_set, bound)}
    for domain in DOMAINS:
        made = [f"{name.key}.{TRANSFORMED}" for name in bound if name.domain == domain]
        section[domain] = [*feature_set.keys(domain), *made]
    splitter = feature_set.splitter
    if splitter is not None:
        section["splits"] = dict(splitter)
    elif feature_set.available_splits:
        positions = {name: f"{_SPLIT}{name}" for name in sorted(feature_set.available_splits)}
        section["tags"] += positions.values()
        section["splits"] = {"use": "rows", "splits": positions}
    scale = [] if bound else _scale(feature_set)
    if scale:
        section["scale"] = scale
    return section


def _source(feature_set: FeatureSet, bound: list[ColumnName]) -> dict[str, Any]:
    file = feature_set.file
    written = feature_set.splitter is not None or not feature_set.available_splits
    if file is None or bound or not written:
        return {"use": "memory", "name": feature_set.label}
    here = Path.cwd()
    return {
        "use": "parquet",
        "path": str(file.relative_to(here) if file.is_relative_to(here) else file),
    }


def table_of(feature_set: FeatureSet) -> dict[str, NDArray[Any]]:
    """The columns that `section_of` names."""
    columns = dict(feature_set.columns)
    for name in _live_columns(feature_set):
        columns[f"{name.key}.{TRANSFORMED}"] = feature_set.stored(name)
    if feature_set.splitter is None:
        for split, view in feature_set.splits.items():
            position = np.full(len(feature_set), -1)
            position[view.indices] = np.arange(len(view))
            columns[f"{_SPLIT}{split}"] = position
    return columns


def _scale(feature_set: FeatureSet) -> list[dict[str, Any]]:
    entries = []
    for transform in feature_set.transforms:
        split = transform.split
        if split is not None and transform.fit_rows is not None:
            _check_split(feature_set, split, transform.fit_rows)
        entry = {**(transform.scaler.component or {}), "columns": list(transform.keys)}
        entries.append(entry if split is None else {**entry, "fit_on": split})
    return entries


def _check_split(feature_set: FeatureSet, split: str, rows: NDArray[np.int64]) -> None:
    known = feature_set.splits
    if split not in known or not np.array_equal(known[split].indices, rows):
        raise ValueError(
            f"FeatureSet `{feature_set.label}`: a scaler was fitted on split `{split}`, which is "
            "another one now; call `undo_all_transforms()` and scale again"
        )


def _live_columns(feature_set: FeatureSet) -> list[ColumnName]:
    """The transformed columns, if a scaler is an object of the program's: then they are data like others."""
    if all(transform.scaler.component is not None for transform in feature_set.transforms):
        return []
    return [name for name in feature_set.column_names() if name.rep == TRANSFORMED]
