"""`read_table_header`: columns and rows of Parquet and Arrow IPC files, and what is said of damaged ones."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet
import pytest
from blake3 import blake3

from specplan._native import ColumnHeader, read_table_header
from specplan.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

Format = Literal["parquet", "arrow"]

FORMATS: tuple[Format, ...] = ("parquet", "arrow")


def write(table: pa.Table, path: Path, table_format: Format, rows_per_part: int = 3) -> str:
    if table_format == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=rows_per_part)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows_per_part)
    return str(path)


def header_of(
    array: pa.Array,
    tmp_path: Path,
    table_format: Format,
    metadata: dict[str, str] | None = None,
) -> ColumnHeader:
    schema = pa.schema([pa.field("column", array.type, metadata=metadata)])
    path = write(pa.table([array], schema=schema), tmp_path / "table", table_format)
    (column,) = read_table_header(path, table_format).columns
    assert column.name == "column"
    return column


@pytest.mark.parametrize("table_format", FORMATS)
@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        *((pa.array([1] * 4, name), name) for name in ("int8", "int16", "int32", "int64")),
        *((pa.array([1] * 4, name), name) for name in ("uint8", "uint16", "uint32", "uint64")),
        (pa.array(np.ones(4, np.float16)), "float16"),
        (pa.array([1.0] * 4, pa.float32()), "float32"),
        (pa.array([1.0] * 4), "float64"),
        (pa.array([True] * 4), "bool"),
        (pa.array(["a"] * 4), "string"),
        (pa.array(["a"] * 4, pa.large_string()), "string"),
        (pa.array(["a"] * 4, pa.string_view()), "string"),
        (pa.array([1] * 4, pa.timestamp("ns")), "other: timestamp[ns]"),
        (pa.array([1] * 4, pa.timestamp("us", "UTC")), "other: timestamp[us, tz=UTC]"),
        (pa.array([1] * 4, pa.duration("ms")), "other: duration[ms]"),
        (pa.array([1] * 4, pa.date32()), "other: date32[day]"),
        (pa.array([1] * 4, pa.time64("us")), "other: time64[us]"),
        (pa.array([1] * 4, pa.decimal128(10, 2)), "other: decimal128(10, 2)"),
        (pa.array([b"ab"] * 4), "other: binary"),
        (pa.array([b"ab"] * 4, pa.binary(2)), "other: fixed_size_binary[2]"),
        (
            pa.array(["a"] * 4).dictionary_encode(),
            "other: dictionary<values=string, indices=int32>",
        ),
        (pa.array([{"a": 1, "b": ["x"]}] * 4), "other: struct<a: int64, b: list<string>>"),
        (pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64())), "other: map"),
        (pa.nulls(4), "other: null"),
    ],
)
def test_scalar_types(array: pa.Array, dtype: str, table_format: Format, tmp_path: Path) -> None:
    column = header_of(array, tmp_path, table_format)
    assert (column.dtype, column.shape) == (dtype, ())


PAIRS_OF_TRIPLES = pa.list_(pa.list_(pa.float32(), 3), 2)
SIX = pa.list_(pa.float64(), 6)
TENSORS = pa.ExtensionArray.from_storage(
    pa.fixed_shape_tensor(pa.float64(), (2, 3)), pa.array([[0.0] * 6] * 4, SIX)
)


@pytest.mark.parametrize("table_format", FORMATS)
@pytest.mark.parametrize(
    ("array", "metadata", "dtype", "shape"),
    [
        (pa.array([[0.0] * 6] * 4, SIX), None, "float64", (6,)),
        (pa.array([[[1, 2, 3], [4, 5, 6]]] * 4, PAIRS_OF_TRIPLES), None, "float32", (2, 3)),
        (pa.array([[0.0] * 6] * 4, SIX), {"specplan.shape": "[2, 3]"}, "float64", (2, 3)),
        (pa.array([[0.0] * 6] * 4), {"specplan.shape": "[3, 2]"}, "float64", (3, 2)),
        (TENSORS, None, "float64", (2, 3)),
        (pa.array([["a", "b"]] * 4), None, "string", (2,)),
        (pa.array([[1, 2]] * 4, pa.large_list(pa.int64())), None, "int64", (2,)),
        (
            pa.array([[[1, 2], [3, 4]]] * 4, pa.list_(pa.list_(pa.int64(), 2))),
            None,
            "int64",
            (2, 2),
        ),
        (pa.array([[1], [2, 3], [4], [5]]), None, "int64", None),
        (pa.array([[1, 2], None, [3, 4], [5, 6]]), None, "int64", None),
        (pa.array([[1, 2], [3, None], [3, 4], [5, 6]]), None, "int64", None),
        (pa.array([[[1, 2], [3, 4]]] * 4), None, "int64", None),
        (pa.array([], pa.list_(pa.int64())), None, "int64", None),
    ],
)
def test_shapes(
    array: pa.Array,
    metadata: dict[str, str] | None,
    dtype: str,
    shape: tuple[int, ...] | None,
    table_format: Format,
    tmp_path: Path,
) -> None:
    column = header_of(array, tmp_path, table_format, metadata)
    assert (column.dtype, column.shape) == (dtype, shape)


@pytest.mark.parametrize("table_format", FORMATS)
@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ("[2, 4]", 'column "column" declares the shape [2, 4], which its type contradicts'),
        ("two", 'specplan.shape of column "column" is not a list of sizes'),
    ],
)
def test_wrong_shape_metadata(
    metadata: str, reason: str, table_format: Format, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as error:
        header_of(
            pa.array([[0.0] * 6] * 4, SIX), tmp_path, table_format, {"specplan.shape": metadata}
        )
    assert str(error.value) == f"{tmp_path / 'table'} is damaged: {reason}"


@pytest.mark.parametrize("table_format", FORMATS)
def test_rows_names_and_nulls(table_format: Format, tmp_path: Path) -> None:
    table = pa.table({"é": [1, None, 3, None, None], "b": ["x"] * 5})
    header = read_table_header(write(table, tmp_path / "table", table_format, 2), table_format)
    assert header.rows == 5
    assert [(column.name, column.nulls) for column in header.columns] == [("é", 3), ("b", 0)]


def test_nulls_are_unknown_without_statistics(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    schema = pa.schema([pa.field("a", pa.int64()), pa.field("b", pa.int64(), nullable=False)])
    table = pa.table([[1], [2]], schema=schema)
    pyarrow.parquet.write_table(table, path, write_statistics=False)
    assert [column.nulls for column in read_table_header(str(path), "parquet").columns] == [None, 0]


@pytest.mark.parametrize("table_format", FORMATS)
@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows(rows: int, table_format: Format, tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([1] * rows, pa.int64())})
    header = read_table_header(write(table, tmp_path / "table", table_format), table_format)
    assert (header.rows, header.columns[0].dtype) == (rows, "int64")


def test_files_of_pandas(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"curve": [[1.0, 2.0]] * 3, "row": range(3)})
    frame.to_parquet(tmp_path / "table.parquet")
    frame.to_feather(tmp_path / "table.feather")
    files: list[tuple[str, Format]] = [("table.parquet", "parquet"), ("table.feather", "arrow")]
    for name, table_format in files:
        columns = read_table_header(str(tmp_path / name), table_format).columns
        assert [(column.dtype, column.shape) for column in columns] == [
            ("float64", (2,)),
            ("int64", ()),
        ]


def test_files_of_polars(tmp_path: Path) -> None:
    frame = polars.DataFrame(
        {"list": [[1.0, 2.0]] * 3, "array": np.ones((3, 2, 3), np.float32), "text": ["a"] * 3}
    )
    frame.write_parquet(tmp_path / "table.parquet")
    frame.write_ipc(tmp_path / "table.arrow")
    files: list[tuple[str, Format]] = [("table.parquet", "parquet"), ("table.arrow", "arrow")]
    for name, table_format in files:
        columns = read_table_header(str(tmp_path / name), table_format).columns
        assert [(column.dtype, column.shape) for column in columns] == [
            ("float64", (2,)),
            ("float32", (2, 3)),
            ("string", ()),
        ]


def test_digest_is_of_footer_and_size(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write(pa.table({"a": [1, 2]}), path, "parquet")
    content = path.read_bytes()
    footer = content[-8 - int.from_bytes(content[-8:-4], "little") : -8]
    expected = blake3(footer + len(content).to_bytes(8, "little")).hexdigest()
    assert read_table_header(str(path), "parquet").digest == f"b3:{expected}"


@pytest.mark.parametrize("table_format", FORMATS)
def test_digest_tells_files_apart(table_format: Format, tmp_path: Path) -> None:
    one = write(pa.table({"a": [1, 2]}), tmp_path / "one", table_format)
    same = write(pa.table({"a": [1, 2]}), tmp_path / "same", table_format)
    other = write(pa.table({"a": [1, 2, 3]}), tmp_path / "other", table_format)
    digests = [read_table_header(path, table_format).digest for path in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]


# ---- files that are not what they should be ------------------------------------------------------


def error_of(path: Path, table_format: Format) -> str:
    with pytest.raises(DataError) as error:
        read_table_header(str(path), table_format)
    return str(error.value).replace(str(path), "FILE")


@pytest.mark.parametrize("table_format", FORMATS)
def test_missing_file(table_format: Format, tmp_path: Path) -> None:
    assert error_of(tmp_path / "none", table_format) == "FILE not found"


@pytest.mark.parametrize("table_format", FORMATS)
def test_folder(table_format: Format, tmp_path: Path) -> None:
    assert error_of(tmp_path, table_format) == "cannot read FILE: it is not a regular file"


@pytest.mark.parametrize("table_format", FORMATS)
def test_a_pipe_is_not_waited_for(table_format: Format, tmp_path: Path) -> None:
    pipe = tmp_path / "table"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="it is not a regular file"):
        read_table_header(str(pipe), table_format)


@pytest.mark.parametrize(
    ("content", "table_format", "message"),
    [
        (b"", "parquet", "FILE is not a Parquet file: it has 0 bytes"),
        (
            b"a,b\n1,2\n3,4\n5,6\n",
            "parquet",
            "FILE is not a Parquet file: it does not start with PAR1",
        ),
        (
            b"PAR1" + bytes(20),
            "parquet",
            "FILE is damaged: its footer is missing; was it written to the end?",
        ),
        (
            b"PAR1" + bytes(8) + b"\xff\xff\xff\x7fPAR1",
            "parquet",
            "FILE is damaged: its footer is longer than the file",
        ),
        (b"PARE" + bytes(20) + b"PARE", "parquet", "FILE is not a Parquet file: it is encrypted"),
        (b"", "arrow", "FILE is not an Arrow IPC file: it does not start with ARROW1"),
        (
            b"FEA1" + bytes(20),
            "arrow",
            "FILE is not an Arrow IPC file: it is of Feather version 1; write it anew",
        ),
        (b"ARROW1", "arrow", "FILE is damaged: its footer is missing; was it written to the end?"),
        (
            b"ARROW1" + bytes(20),
            "arrow",
            "FILE is damaged: its footer is missing; was it written to the end?",
        ),
        (
            b"ARROW1\0\0" + b"\xff\xff\xff\x7fARROW1",
            "arrow",
            "FILE is damaged: its footer is longer than the file",
        ),
    ],
)
def test_not_a_table(content: bytes, table_format: Format, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(content)
    assert error_of(path, table_format) == message


def test_formats_are_told_apart(tmp_path: Path) -> None:
    write(pa.table({"a": [1]}), tmp_path / "parquet", "parquet")
    write(pa.table({"a": [1]}), tmp_path / "arrow", "arrow")
    assert error_of(tmp_path / "parquet", "arrow").startswith("FILE is not an Arrow IPC file")
    assert error_of(tmp_path / "arrow", "parquet").startswith("FILE is not a Parquet file")


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format is \"csv\", must be 'parquet' or 'arrow'"):
        read_table_header(str(tmp_path), "csv")  # type: ignore[arg-type]


def content_of(table_format: Format, path: Path) -> bytes:
    columns: dict[str, Any] = {
        "a": [1, None],
        "b": [[1.0, 2.0]] * 2,
        "c": [{"x": "y"}] * 2,
        "d": TENSORS[:2],
    }
    write(pa.table(columns), path, table_format, 1)
    return path.read_bytes()


@pytest.mark.parametrize("table_format", FORMATS)
def test_no_truncation_passes(table_format: Format, tmp_path: Path) -> None:
    path = tmp_path / "table"
    content = content_of(table_format, path)
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        error_of(path, table_format)


def fault_of(path: Path, table_format: Format) -> str | None:
    try:
        read_table_header(str(path), table_format)
    except DataError as error:
        return str(error)
    return None


@pytest.mark.parametrize("table_format", FORMATS)
def test_damage_is_an_error_or_unseen(table_format: Format, tmp_path: Path) -> None:
    path = tmp_path / "table"
    content = content_of(table_format, path)
    generator = random.Random(0)
    for _ in range(2000):
        damaged = bytearray(content)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(content))] = generator.choice([0, 1, 0x7F, 0x80, 0xFF])
        path.write_bytes(damaged)
        fault = fault_of(path, table_format)
        assert fault is None or str(path) in fault
