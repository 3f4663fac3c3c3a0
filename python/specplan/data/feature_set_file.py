"""A FeatureSet in an archive: rows as Arrow, the rest as JSON (docs/archive.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.archive.archive import Archive, archive_path, writing
from specplan.data.column_array import shown_dtype
from specplan.data.column_names import RAW, ColumnName
from specplan.data.feature_set_state import restored, state_of
from specplan.errors import ArchiveError
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from specplan.archive.archive import ArchiveWriter
    from specplan.data.feature_set import FeatureSet

ABOUT = "featureset.json"
ROWS = "rows.arrow"


class StoredColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column as `features.voltage.raw`; its dtype is that of numpy, or `text`."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class StoredFeatureSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a FeatureSet is but its rows.

    Attributes:
        columns: the raw ones, in order.
        state: its splits and scalers, as data/feature_set_state.py has them.
    """

    label: str
    id: str
    rows: int
    columns: tuple[StoredColumn, ...]
    state: dict[str, Any]

    @property
    def splits(self) -> list[str]:
        """Labels of the splits."""
        return [split["name"] for split in self.state["splits"]]


def save_feature_set(
    feature_set: FeatureSet, path: str | os.PathLike[str], *, overwrite: bool
) -> Path:
    """Write `<path>.fs.mml`; returns its path.

    Raises:
        FileExistsError: it is there already.
        ValueError: a scaler is an object of the program's.
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
    archive.add_json(folder + ABOUT, described(feature_set))
    if rows:
        archive.add(folder + ROWS, _written(feature_set.to_arrow()))


def described(feature_set: FeatureSet) -> StoredFeatureSet:
    """What a FeatureSet is but its rows.

    Raises:
        ValueError: a scaler is an object of the program's.
    """
    try:
        state = state_of(feature_set)
    except TypeError as error:
        raise ValueError(f"FeatureSet `{feature_set.label}` cannot be saved: {error}") from None
    names = [name for name in feature_set.column_names() if name.rep == RAW]
    return StoredFeatureSet(
        label=feature_set.label,
        id=feature_set.id,
        rows=len(feature_set),
        columns=tuple(stored_column(name, feature_set) for name in names),
        state=state,
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
        table = _read(archive.read(folder + ROWS))
        made = restored(about.label, table, about.state, register=False)
    except (ValueError, TypeError, KeyError) as error:
        raise ArchiveError(f"`{archive.path}`: FeatureSet `{about.label}`: {error}") from error
    if described(made).columns != about.columns or len(made) != about.rows:
        raise ArchiveError(
            f"`{archive.path}`: FeatureSet `{about.label}`: `{ROWS}` and `{ABOUT}` differ in columns or rows"
        )
    made.id = about.id
    return made


def differences(stored: StoredFeatureSet, feature_set: FeatureSet) -> list[str]:
    """Why a FeatureSet cannot stand for one that was stored without them; empty where it can."""
    own = described(feature_set)
    found = missing_columns(stored.columns, own.columns)
    wanted = [column.name for column in stored.columns]
    if more := [column.name for column in own.columns if column.name not in wanted]:
        found.append(f"it has the column {quoted(more)}, which was not there")
    if own.rows != stored.rows:
        found.append(f"it has {own.rows} rows, not {stored.rows}")
    if set(own.splits) != set(stored.splits):
        found.append(f"its splits are {quoted(own.splits)}, not {quoted(stored.splits)}")
    return found


def missing_columns(wanted: Sequence[StoredColumn], own: Sequence[StoredColumn]) -> list[str]:
    """Why columns cannot stand for those that are wanted; empty where they can."""
    known = {column.name: column for column in own}
    found = []
    if missing := [column.name for column in wanted if column.name not in known]:
        found.append(f"it has no column {quoted(missing)}")
    for before in wanted:
        now = known.get(before.name, before)
        if before.dtype != now.dtype:
            found.append(f"column `{before.name}` is {now.dtype}, not {before.dtype}")
        if before.shape != now.shape:
            found.append(
                f"column `{before.name}` has rows of shape {now.shape}, not {before.shape}"
            )
    return found


def stored_column(name: ColumnName, feature_set: FeatureSet) -> StoredColumn:
    """What a column of a FeatureSet is but its rows."""
    rows = feature_set.stored(name)
    return StoredColumn(str(name), shown_dtype(rows.dtype), rows.shape[1:])


def _written(table: pa.Table) -> memoryview:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _read(content: bytes) -> pa.Table:
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.py_buffer(content)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"`{ROWS}` cannot be read: {error}") from None
    return table
