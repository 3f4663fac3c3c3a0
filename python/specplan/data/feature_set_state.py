"""What a FeatureSet has beside its columns, as plain values, for files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.column_names import parsed
from specplan.data.feature_set import FeatureSet
from specplan.data.scalers import restored as restored_scaler
from specplan.data.scaling import applied
from specplan.data.transforms import Transform

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray


def state_of(feature_set: FeatureSet) -> dict[str, Any]:
    """The splits and scalers as values of JSON; `restored` makes the FeatureSet of them and `to_arrow()`.

    Raises:
        TypeError: a scaler is an object of the program's.
    """
    splits = []
    for name, view in feature_set.splits.items():
        seen = view.columns_seen
        columns = None if seen is None else [str(column) for column in seen]
        splits.append({"name": name, "rows": view.indices.tolist(), "columns": columns})
    return {
        "splits": splits,
        "splitter": feature_set.splitter,
        "transforms": [_transform(transform) for transform in feature_set.transforms],
    }


def restored(
    label: str, table: pa.Table, state: Mapping[str, Any], *, register: bool = True
) -> FeatureSet:
    """The FeatureSet whose `to_arrow()` and `state_of` are given. Scalers are applied, not fitted anew.

    Raises:
        TypeError, ValueError, KeyError: the table and the state are not those of a FeatureSet.
    """
    made = FeatureSet.from_pyarrow_table(label, table, register=register)
    rows = {split["name"]: _rows(split["rows"], len(made)) for split in state["splits"]}
    for split in state["splits"]:
        seen = split["columns"]
        columns = None if seen is None else tuple(map(parsed, seen))
        made.divide({split["name"]: rows[split["name"]]}, None, columns)
    made.split_by(state["splitter"])
    for entry in state["transforms"]:
        _attach(made, entry)
    return made


def _transform(transform: Transform) -> dict[str, Any]:
    component = transform.scaler.component
    if component is None:
        raise TypeError(
            f"{transform.scaler.scaler_name} is an object of the program's, which a file cannot hold; "
            "`undo_all_transforms()` takes it back"
        )
    return {
        "scaler": component,
        "domain": transform.domain,
        "keys": list(transform.keys),
        "split": transform.split,
        "fit_rows": None if transform.fit_rows is None else transform.fit_rows.tolist(),
        "state": dict(transform.scaler.scaling.state),
    }


def _attach(feature_set: FeatureSet, entry: Mapping[str, Any]) -> None:
    scaler = restored_scaler(entry["scaler"], entry["state"])
    domain, keys, fit_rows = entry["domain"], entry["keys"], entry["fit_rows"]
    columns = [feature_set.transforms.now(feature_set, domain, key) for key in keys]
    values = dict(zip(keys, applied(scaler.scaling, columns), strict=True))
    known = None if fit_rows is None else _rows(fit_rows, len(feature_set))
    feature_set.transforms.attach(
        Transform(scaler, domain, tuple(keys), entry["split"], known, values)
    )


def _rows(numbers: list[int], count: int) -> NDArray[np.int64]:
    rows = np.array(numbers, dtype=np.int64)
    if len(rows) and not (rows.min() >= 0 and rows.max() < count):
        raise ValueError(f"a split has a row that is none of {count}")
    return rows
