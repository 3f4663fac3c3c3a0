from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from specplan._native import read_table_header
from specplan.data.table import Table, read_file
from specplan.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMATS = ["parquet", "arrow"]


def write(folder: Path, use: str, columns: dict[str, Any], chunk: int = 3) -> Path:
    """A file of several row groups or record batches."""
    path, table = folder / f"data.{use}", pa.table(columns)
    if use == "parquet":
        pq.write_table(table, path, row_group_size=chunk)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=chunk)
    return path


def read(path: Path, use: Any, **shapes: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    digest = read_table_header(str(path), use).digest
    return read_file(path, use, digest=digest, shapes=shapes)


@pytest.mark.parametrize("use", FORMATS)
def test_columns_of_every_layout_are_read(tmp_path: Path, use: str) -> None:
    values = np.arange(5 * 4, dtype=np.float32).reshape(5, 4)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 4)
    square = pa.FixedSizeListArray.from_arrays(
        pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 2), 2
    )
    columns = {
        "number": pa.array(range(5), pa.int16()),
        "flag": pa.array([True, False, True, True, False]),
        "list": pa.array(values.tolist(), pa.list_(pa.float32())),
        "large": pa.array(values.tolist(), pa.large_list(pa.float32())),
        "fixed": fixed,
        "square": square,
        "unread": pa.array([None] * 5, pa.int8()),
    }
    found = read(
        write(tmp_path, use, columns),
        use,
        number=(),
        flag=(),
        list=(4,),
        large=(2, 2),
        fixed=(4,),
        square=(2, 2),
    )
    np.testing.assert_array_equal(found["number"], np.arange(5, dtype=np.int16), strict=True)
    np.testing.assert_array_equal(found["flag"], [True, False, True, True, False])
    np.testing.assert_array_equal(found["list"], values, strict=True)
    np.testing.assert_array_equal(found["fixed"], values, strict=True)
    for name in ("large", "square"):
        np.testing.assert_array_equal(found[name], values.reshape(5, 2, 2), strict=True)


def test_an_arrow_file_of_one_batch_is_mapped(tmp_path: Path) -> None:
    path = write(tmp_path, "arrow", {"x": np.arange(1000.0)}, chunk=1000)
    found = read(path, "arrow", x=())["x"]
    assert not found.flags.writeable
    assert not found.flags.owndata


@pytest.mark.parametrize("use", FORMATS)
def test_rows_of_another_length_are_named(tmp_path: Path, use: str) -> None:
    rows = [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0, 3.0]]
    path = write(tmp_path, use, {"x": rows})
    message = f"`{path}`: column `x`, row 4 has a list of 3 elements where shape (2,) needs 2"
    with pytest.raises(DataError, match=re.escape(message)):
        read(path, use, x=(2,))


def test_inner_rows_of_another_length_are_named(tmp_path: Path) -> None:
    rows = [[[1, 2], [3, 4]], [[1, 2, 3], [4]]]
    path = write(tmp_path, "arrow", {"x": rows})
    message = "column `x`, row 1 has a list of 3 elements where shape (2, 2) needs 2"
    with pytest.raises(DataError, match=re.escape(message)):
        read(path, "arrow", x=(2, 2))


@pytest.mark.parametrize("use", FORMATS)
@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([1.0, 2.0, 3.0, 4.0, None], ()),
        ([[1.0], [2.0], [3.0], [4.0], None], (1,)),
        ([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, None]], (2,)),
    ],
)
def test_nulls_are_named(
    tmp_path: Path, use: str, values: list[Any], shape: tuple[int, ...]
) -> None:
    path = write(tmp_path, use, {"x": values})
    with pytest.raises(DataError, match=r"column `x` has a null in row 4; nulls cannot be used"):
        read(path, use, x=shape)


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", {"x": [1.0, 2.0]})
    with pytest.raises(DataError, match="changed since the plan was compiled"):
        read_file(path, "parquet", digest="b3:0123456789abcdef", shapes={"x": ()})


def test_rows_are_joined_cast_and_viewed() -> None:
    table = Table(
        3,
        {
            "a": np.array([1, 2, 3]),
            "b": np.array([[0.5, 1.5], [2.5, 3.5], [4.5, 5.5]]),
        },
    )
    found = table.read(["a", "b"], np.array([2, 0]), dtype="float32", shape=(3, 1))
    expected = np.array([[3, 4.5, 5.5], [1, 0.5, 1.5]], np.float32).reshape(2, 3, 1)
    np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("use", FORMATS)
def test_a_column_that_the_file_lacks(tmp_path: Path, use: str) -> None:
    path = write(tmp_path, use, {"x": [1.0, 2.0]})
    with pytest.raises(DataError, match="has no column `y`"):
        read(path, use, x=(), y=())


def test_a_value_beyond_the_range_of_the_type() -> None:
    table = Table(2, {"x": np.array([1.0, 1e300])})
    with pytest.raises(DataError, match="`x` has values beyond the range of float32"):
        table.read(["x"], None, dtype="float32", shape=(1,))
    assert np.isinf(
        Table(1, {"x": np.array([np.inf])}).read(["x"], None, dtype="float32", shape=())
    )
