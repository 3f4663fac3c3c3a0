"""A FeatureSet in an archive: rows as Arrow, the rest as JSON (docs/archive.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.archive.archive import Archive, archive_path, writing
from specplan.data.column_names import (
    RAW,
    SAMPLE_UUIDS,
    TRANSFORMED,
    ColumnName,
    Domain,
    parsed,
)
from specplan.data.feature_set import FeatureSet
from specplan.errors import ArchiveError, DataError
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan.archive.archive import ArchiveWriter

ABOUT = "featureset.json"
ROWS = "rows.arrow"
SPLITS = "splits.arrow"


class StoredColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column as `features.voltage.raw`; its dtype is that of numpy, or `text`."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class StoredSplit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A split; `columns` are those that it was made with, None for all."""

    name: str
    rows: int
    columns: tuple[str, ...] | None


class StoredScaler(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scaler, as a spec writes it, and what it was fitted on."""

    component: dict[str, Any]
    domain: Domain
    keys: tuple[str, ...]
    split: str | None


class StoredFeatureSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a FeatureSet is but its rows.

    Attributes:
        columns: the raw ones, in order, then those that scalers made.
        splitter: the splitter of a spec that makes all splits; None where there is none.
    """

    label: str
    id: str
    rows: int
    columns: tuple[StoredColumn, ...]
    splits: tuple[StoredSplit, ...]
    splitter: dict[str, Any] | None
    scalers: tuple[StoredScaler, ...]


def save_feature_set(
    feature_set: FeatureSet, path: str | os.PathLike[str], *, overwrite: bool
) -> Path:
    """Write `<path>.fs.mml`; returns its path.

    Raises:
        FileExistsError: it is there already.
        ValueError: a scaler is an object of the program's, or its split is another one now.
    """
    target = archive_path(path, "fs")
    with writing(target, "fs", overwrite=overwrite) as archive:
        add_feature_set(archive, "", feature_set)
    return target


def load_feature_set(path: str | os.PathLike[str]) -> FeatureSet:
    """The FeatureSet of a file, registered nowhere.

    Raises:
        FileNotFoundError: there is no such file.
        ArchiveError: it is damaged, or no FeatureSet.
    """
    from pathlib import Path

    with Archive(Path(path), "fs") as archive:
        return read_feature_set(archive, "")


def add_feature_set(
    archive: ArchiveWriter, folder: str, feature_set: FeatureSet, *, rows: bool = True
) -> None:
    """Add a FeatureSet below a folder, which ends with `/`; without `rows`, all but them."""
    about = described(feature_set)
    archive.add_json(folder + ABOUT, about)
    splits = {name: view.indices for name, view in feature_set.splits.items()}
    archive.add(folder + SPLITS, _written_splits(splits))
    if rows:
        columns = {str(name): feature_set.stored(name) for name in feature_set.column_names()}
        archive.add(folder + ROWS, _written_rows({**columns, SAMPLE_UUIDS: feature_set.uuids}))


def described(feature_set: FeatureSet) -> StoredFeatureSet:
    """What a FeatureSet is but its rows.

    Raises:
        ValueError: a scaler is an object of the program's, or its split is another one now.
    """
    for transform in feature_set.transforms:
        if transform.scaler.component is None:
            raise ValueError(
                f"FeatureSet `{feature_set.label}`: {transform.scaler.scaler_name} of "
                f"{quoted(transform.keys)} is an object of the program, which cannot be stored without "
                "pickle; undo it, or use a scaler that a spec can name"
            )
    feature_set.section()  # says what is wrong with the split of a scaler
    names = sorted(feature_set.column_names(), key=lambda name: name.rep != RAW)
    return StoredFeatureSet(
        label=feature_set.label,
        id=feature_set.id,
        rows=len(feature_set),
        columns=tuple(_column(name, feature_set.stored(name)) for name in names),
        splits=tuple(
            StoredSplit(
                name=name,
                rows=len(view),
                columns=None if view.columns_seen is None else tuple(map(str, view.columns_seen)),
            )
            for name, view in feature_set.splits.items()
        ),
        splitter=feature_set.splitter,
        scalers=tuple(
            StoredScaler(
                component=transform.scaler.component or {},
                domain=transform.domain,
                keys=transform.keys,
                split=transform.split,
            )
            for transform in feature_set.transforms
        ),
    )


def read_described(archive: Archive, folder: str) -> StoredFeatureSet:
    """What the FeatureSet below a folder is but its rows."""
    return archive.read_json(folder + ABOUT, StoredFeatureSet)


def read_feature_set(archive: Archive, folder: str) -> FeatureSet:
    """The FeatureSet below a folder of an archive, registered nowhere.

    Raises:
        ArchiveError: it is damaged, or does not hold together.
    """
    about = read_described(archive, folder)
    try:
        columns = _read_rows(archive.read(folder + ROWS), about)
        uuids = columns.pop(SAMPLE_UUIDS)
        raw = {parsed(name).key: rows for name, rows in columns.items() if parsed(name).rep == RAW}
        domains = {parsed(name).key: parsed(name).domain for name in columns}
        made = FeatureSet(about.label, raw, domains, uuids=uuids, register=False)
        _divide(made, about, _read_splits(archive.read(folder + SPLITS), about))
        _scale(made, about, columns)
    except (ValueError, TypeError, KeyError, DataError) as error:
        raise ArchiveError(f"`{archive.path}`: FeatureSet `{about.label}`: {error}") from error
    made.id = about.id
    return made


def differences(stored: StoredFeatureSet, feature_set: FeatureSet) -> list[str]:
    """Why a FeatureSet cannot stand for one that was stored without its rows; empty where it can."""
    own = described(feature_set)
    found = []
    known = {column.name: column for column in own.columns}
    wanted = {column.name: column for column in stored.columns}
    if missing := [name for name in wanted if name not in known]:
        found.append(f"it has no column {quoted(missing)}")
    if more := [name for name in known if name not in wanted]:
        found.append(f"it has the column {quoted(more)}, which was not there")
    for name in wanted.keys() & known.keys():
        before, now = wanted[name], known[name]
        if before.dtype != now.dtype:
            found.append(f"column `{name}` is {now.dtype}, not {before.dtype}")
        if before.shape != now.shape:
            found.append(f"column `{name}` has rows of shape {now.shape}, not {before.shape}")
    if own.rows != stored.rows:
        found.append(f"it has {own.rows} rows, not {stored.rows}")
    splits, before_splits = [s.name for s in own.splits], [s.name for s in stored.splits]
    if set(splits) != set(before_splits):
        found.append(f"its splits are {quoted(splits)}, not {quoted(before_splits)}")
    return found


def _column(name: ColumnName, rows: NDArray[Any]) -> StoredColumn:
    dtype = rows.dtype.name if rows.dtype.kind in "biuf" else "text"
    return StoredColumn(str(name), dtype, rows.shape[1:])


def _divide(
    made: FeatureSet, about: StoredFeatureSet, found: Mapping[str, NDArray[np.int64]]
) -> None:
    if about.splitter is not None:
        made.divide(found, about.splitter)
        return
    for split in about.splits:
        columns = None if split.columns is None else tuple(map(parsed, split.columns))
        made.divide({split.name: found[split.name]}, None, columns)


def _scale(made: FeatureSet, about: StoredFeatureSet, columns: Mapping[str, NDArray[Any]]) -> None:
    """Fit the scalers again on the same rows, which has to make what was stored."""
    for scaler in about.scalers:
        arguments = {key: value for key, value in scaler.component.items() if key != "use"}
        made.fit_transform(
            _scaler(scaler.component["use"], arguments),
            domain=scaler.domain,
            keys=list(scaler.keys),
            fit_to_split=scaler.split,
        )
    for name in made.column_names():
        if name.rep == TRANSFORMED and not np.array_equal(
            made.stored(name), columns[str(name)], equal_nan=True
        ):
            raise ValueError(
                f"scalers make other values of `{name.key}` here than where it was saved; "
                "scikit-learn may be of another version"
            )


def _scaler(use: str, arguments: Mapping[str, Any]) -> object:
    from specplan.data.scalers import Scaler

    return Scaler(use, arguments)


def _written_rows(columns: Mapping[str, NDArray[Any]]) -> memoryview:
    from specplan.data.arrow_table import table_of

    return _ipc(table_of(columns))


def _written_splits(splits: Mapping[str, NDArray[np.int64]]) -> memoryview:
    import pyarrow as pa

    return _ipc(
        pa.table(
            {
                "split": pa.array(list(splits), pa.string()),
                "rows": pa.array(list(splits.values()), pa.list_(pa.int64())),
            }
        )
    )


def _ipc(table: Any) -> memoryview:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _read_table(content: bytes) -> Any:
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.py_buffer(content)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the Arrow file cannot be read: {error}") from None
    return table


def _read_rows(content: bytes, about: StoredFeatureSet) -> dict[str, NDArray[Any]]:
    from specplan.data.arrow_columns import column_to_numpy

    table = _read_table(content)
    shapes = {column.name: column.shape for column in about.columns} | {SAMPLE_UUIDS: ()}
    if set(table.column_names) != set(shapes) or table.num_rows != about.rows:
        raise ValueError(f"`{ROWS}` and `{ABOUT}` differ in columns or rows")
    columns: dict[str, NDArray[Any]] = {}
    for name in [*shapes]:
        rows = column_to_numpy(ROWS, name, table.column(name), shapes[name])
        columns[name] = rows = np.array(rows, order="C")
        rows.flags.writeable = False
    return columns


def _read_splits(content: bytes, about: StoredFeatureSet) -> dict[str, NDArray[np.int64]]:
    table = _read_table(content)
    found: dict[str, NDArray[np.int64]] = {}
    for name, rows in zip(table.column("split").to_pylist(), table.column("rows"), strict=True):
        found[name] = np.array(rows.values.to_numpy(zero_copy_only=False), dtype=np.int64)
        inside = (found[name] >= 0) & (found[name] < about.rows)
        if not inside.all():
            raise ValueError(f"split `{name}` has rows that there are not")
    if list(found) != [split.name for split in about.splits]:
        raise ValueError(f"`{SPLITS}` and `{ABOUT}` differ in their splits")
    return found
