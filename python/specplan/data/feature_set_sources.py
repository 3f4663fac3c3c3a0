"""What a FeatureSet can be made of: mappings, DataFrames and Arrow tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from specplan.data.beside import beside
from specplan.data.column_array import column_array
from specplan.data.column_names import RAW, SAMPLE_UUIDS, listed, parsed
from specplan.spec.arguments import checked_list
from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pandas
    import pyarrow as pa
    from numpy.typing import NDArray

    from specplan.data.column_names import Domain
    from specplan.data.column_names import Keys as ColumnKeys

    Columns = dict[str, NDArray[Any]]
    Domains = dict[str, Domain]
    Keys = Mapping[Domain, Sequence[str]]


def columns_from_dict(label: str, data: Mapping[str, Any], keys: Keys) -> tuple[Columns, Domains]:
    """The columns that `keys` name.

    Raises:
        TypeError, ValueError: as `FeatureSet.from_dict` does.
    """
    if not isinstance(data, Mapping):
        raise TypeError(
            f"FeatureSet `{label}`: data is a mapping of keys to rows, not {type(data).__name__}"
        )
    if not keys["features"]:
        raise ValueError(f"FeatureSet `{label}` needs at least one feature key")
    columns: Columns = {}
    domains: Domains = {}
    for domain, names in keys.items():
        for name in names:
            _add(label, domains, name, domain)
            columns[name] = _column(label, name, data)
    _check_lengths(label, columns)
    return columns, domains


def domain_keys(
    features: ColumnKeys, targets: ColumnKeys, tags: ColumnKeys | None
) -> dict[Domain, list[str]]:
    """The keys of each kind of columns, as lists."""
    return {"features": listed(features), "targets": listed(targets), "tags": listed(tags)}


class ReadFile(msgspec.Struct, frozen=True):
    """A file as it was when its rows were read."""

    path: Path
    size: int
    modified: int

    @property
    def unchanged(self) -> Path | None:
        """Its path, if it is still as it was."""
        try:
            same = read_file_of(self.path) == self
        except OSError:
            return None
        return self.path if same else None


def read_file_of(path: Path) -> ReadFile:
    """A file as it is now. Raises OSError where it cannot be looked at."""
    found = path.stat()
    return ReadFile(path.absolute(), found.st_size, found.st_mtime_ns)


def columns_from_file(
    label: str, path: Path, format: Literal["parquet", "csv"], keys: Keys
) -> tuple[Columns, Domains]:
    """The columns of a file that `keys` name.

    Raises:
        FileNotFoundError, ValueError: as `FeatureSet.from_parquet` does.
    """
    import pyarrow as pa

    from specplan.data.arrow_table import columns_of

    if not path.is_file():
        hint = beside(path)
        raise FileNotFoundError(f"there is no file `{path}`" + (f"; {hint}" if hint else ""))
    wanted = list(dict.fromkeys(name for names in keys.values() for name in names))
    try:
        table = _read_csv(path) if format == "csv" else _read_parquet(path, wanted)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"`{path}` cannot be read as {format}: {error}") from error
    for name in wanted:
        if name not in table.column_names:
            known = choices(name, table.column_names)
            raise ValueError(f"`{path}` has no column `{name}`; it has: {known}")
    return columns_from_dict(label, columns_of(table.select(wanted), f"`{path}`"), keys)


def _read_parquet(path: Path, wanted: Sequence[str]) -> pa.Table:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
        names = file.schema_arrow.names
        # Without one that is missing, so that the names of all can be said.
        return file.read(columns=names if set(wanted) - set(names) else list(wanted))


def _read_csv(path: Path) -> pa.Table:
    import pyarrow.csv

    return pyarrow.csv.read_csv(path)


def columns_from_arrow(
    label: str, table: pa.Table
) -> tuple[Columns, Domains, NDArray[np.str_] | None]:
    """The raw columns of a table, and the ids of its rows.

    Raises:
        TypeError, ValueError: as `FeatureSet.from_pyarrow_table` does.
    """
    import pyarrow as pa

    from specplan.data.arrow_table import columns_of

    if not isinstance(table, pa.Table):
        raise TypeError(
            f"FeatureSet `{label}` is made of a pyarrow.Table, not {type(table).__name__}"
        )
    domains: Domains = {}
    wanted: dict[str, str] = {}
    for text in table.column_names:
        if text == SAMPLE_UUIDS:
            continue
        name = parsed(text)
        if name.rep == RAW:
            _add(label, domains, name.key, name.domain)
            wanted[text] = name.key
    if "features" not in domains.values():
        raise ValueError(f"FeatureSet `{label}` needs at least one column `features.KEY.raw`")
    if not table.num_rows:
        raise ValueError(f"FeatureSet `{label}`: the table has no rows")
    ids = [SAMPLE_UUIDS] if SAMPLE_UUIDS in table.column_names else []
    arrays = columns_of(table.select([*wanted, *ids]), f"FeatureSet `{label}`")
    columns = {key: _frozen(arrays[text]) for text, key in wanted.items()}
    uuids = _frozen(arrays[SAMPLE_UUIDS].astype(str)) if ids else None
    return columns, domains, uuids


def rows_of_frame(
    label: str,
    frame: pandas.DataFrame,
    keys: Keys,
    group_by: Sequence[str],
    sort_by: Sequence[str],
) -> dict[str, Any]:
    """The columns of a DataFrame; with `group_by`, one row of arrays for each group.

    Raises:
        TypeError, ValueError: as `FeatureSet.from_pandas` does.
    """
    import pandas

    if not isinstance(frame, pandas.DataFrame):
        raise TypeError(f"FeatureSet `{label}` is made of a DataFrame, not {type(frame).__name__}")
    wanted = [name for names in keys.values() for name in names]
    for name in (*wanted, *group_by, *sort_by):
        if name not in frame.columns:
            raise ValueError(
                f"FeatureSet `{label}`: the DataFrame has no column `{name}`; "
                f"it has: {choices(name, list(map(str, frame.columns)))}"
            )
    order = np.arange(len(frame))
    if sort_by:
        order = (
            frame[list(sort_by)]
            .reset_index(drop=True)
            .sort_values(list(sort_by), kind="stable")
            .index.to_numpy()
        )
    if not group_by:
        return {name: _values(_array(frame[name])[order]) for name in wanted}
    # Groups come as they first do in the DataFrame, whatever the order of their rows.
    numbers = frame.groupby(list(group_by), sort=False, dropna=False).ngroup().to_numpy()
    order = order[np.argsort(numbers[order], kind="stable")]
    ends = np.cumsum(np.bincount(numbers))[:-1]
    grouped: dict[str, Any] = {}
    for domain, names in keys.items():
        for name in names:
            groups = np.split(_array(frame[name])[order], ends)
            grouped[name] = [_alone(rows) if domain == "tags" else _sample(rows) for rows in groups]
    return grouped


def _sample(rows: NDArray[Any]) -> Any:
    return rows if len(rows) > 1 else rows[0]


def _alone(rows: NDArray[Any]) -> Any:
    """The one value that all rows have, or all values."""
    return rows[0] if all(row == rows[0] for row in rows[1:]) else rows


def _values(array: NDArray[Any]) -> Any:
    """Rows that are arrays are a list of them."""
    return list(array) if array.dtype.kind == "O" else array


def _array(series: pandas.Series[Any]) -> NDArray[Any]:
    array: NDArray[Any] = series.to_numpy()
    return array


def _add(label: str, domains: Domains, name: str, domain: Domain) -> None:
    if name in domains:
        raise ValueError(
            f"FeatureSet `{label}`: `{name}` is named twice, in {domains[name]} and in {domain}"
        )
    domains[name] = domain


def _column(label: str, name: str, data: Mapping[str, Any]) -> NDArray[Any]:
    if name not in data:
        raise ValueError(
            f"FeatureSet `{label}`: there is no key `{name}` in the data; "
            f"it has: {choices(name, data)}"
        )
    rows = data[name]
    if not isinstance(rows, np.ndarray):
        rows = checked_list(f"FeatureSet `{label}`: column `{name}`", rows)
    if not len(np.atleast_1d(rows) if isinstance(rows, np.ndarray) else rows):
        raise ValueError(f"FeatureSet `{label}`: column `{name}` has no rows")
    try:
        return _frozen(np.array(column_array(_stacked(rows)), order="C"))
    except ValueError as error:
        if isinstance(rows, list):
            _check_shapes(label, name, rows)
        raise ValueError(f"FeatureSet `{label}`: column `{name}` {error}") from None


def _stacked(rows: Any) -> Any:
    """Rows that are arrays of one shape as one array, in a fraction of the time that numpy takes for any list."""
    if not isinstance(rows, list) or not all(type(row) is np.ndarray for row in rows):
        return rows
    shapes = {row.shape for row in rows}
    if len(shapes) > 1 or () in shapes:
        return rows
    return np.concatenate(rows).reshape(len(rows), *shapes.pop())


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array = array if array.flags.owndata or not array.flags.writeable else array.copy()
    array.flags.writeable = False
    return array


def _check_shapes(label: str, name: str, rows: Iterable[Any]) -> None:
    first: tuple[int, ...] | None = None
    for number, row in enumerate(rows):
        try:
            shape = np.shape(row)
        except ValueError:
            raise ValueError(
                f"FeatureSet `{label}`: column `{name}` is ragged within row {number}"
            ) from None
        if first is None:
            first = shape
        elif shape != first:
            raise ValueError(
                f"FeatureSet `{label}`: column `{name}` is ragged: row {number} has shape {shape}, "
                f"row 0 has {first}"
            )


def _check_lengths(label: str, columns: Columns) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
        raise ValueError(f"FeatureSet `{label}`: the columns differ in length: {said}")
