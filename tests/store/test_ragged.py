"""Arrays of different shapes: what is recorded is what is read, by us and by others, at every instant."""

from __future__ import annotations

import random
import signal
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specplan._native import Store, StoreReader, export_execution
from specplan.errors import StoreError
from tests.store.records import (
    channel,
    create,
    only_ragged,
    ragged_channel,
    random_rows,
    same_arrays,
)
from tests.store.test_writing import NUMPY_DTYPES
from tests.store.varied_writer import check_prefix, start_writer


def random_array(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    array: np.ndarray = random_rows(1, shape, dtype, seed)[0]
    return array


@st.composite
def recordings(draw: st.DrawFn) -> tuple[str, int, list[list[np.ndarray]]]:
    """A dtype, a number of dimensions, and batches of arrays whose lengths are often zero."""
    dtype = draw(st.sampled_from(NUMPY_DTYPES))
    dimensions = draw(st.integers(1, 5))
    lengths = st.tuples(*[st.sampled_from([0, 1, 1, 2, 3, 7])] * dimensions)
    batches = draw(st.lists(st.lists(lengths, max_size=6), max_size=8))
    arrays = [[random_array(shape, dtype, len(shapes)) for shape in shapes] for shapes in batches]
    return dtype, dimensions, arrays


@settings(deadline=None, max_examples=60)
@given(recordings())
def test_round_trip(recording: tuple[str, int, list[list[np.ndarray]]]) -> None:
    dtype, dimensions, batches = recording
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        store = create(path)
        values = ragged_channel(store, dtype=dtype, dimensions=dimensions)
        for number, arrays in enumerate(batches):
            assert values.record(arrays, 0, number) == number + 1
        assert store.sync() == len(batches)
        live = only_ragged(path)
        store.close()
        for reader in (live, only_ragged(path)):
            assert (reader.dtype, reader.dimensions) == (dtype, dimensions)
            assert reader.rows == sum(map(len, batches))
            assert reader.index()["rows"].tolist() == [len(arrays) for arrays in batches]
            assert all(
                same_arrays(reader.get(0, number), arrays) for number, arrays in enumerate(batches)
            )
            assert all(
                same_arrays(reader.at(number), arrays) for number, arrays in enumerate(batches)
            )


def rows_of(arrays: list[np.ndarray]) -> list[dict[str, list[float]]]:
    return [{"data": array.ravel().tolist(), "shape": list(array.shape)} for array in arrays]


def test_other_tools_read_every_state_of_the_file(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = ragged_channel(store)
    values.record([], 0, 0)
    expected: list[np.ndarray] = []
    shapes: list[list[tuple[int, int]]] = [[], [(0, 3)], [(2, 3)], [(1, 1), (4, 0), (0, 0), (7, 2)]]
    for batch, batch_shapes in enumerate(shapes, 1):
        arrays = [random_array(shape, "int32", 5).view(np.float32) for shape in batch_shapes]
        arrays = [np.nan_to_num(array) for array in arrays]
        values.record(arrays, 0, batch)
        expected += arrays
        store.sync()
        check_with_others(tmp_path, expected)
    store.close()
    check_with_others(tmp_path, expected)


def check_with_others(path: Path, expected: list[np.ndarray]) -> None:
    (file,) = map(str, path.rglob("chunk-*.arrow"))
    visible = [(file, 0, len(expected))] if expected else []
    assert only_ragged(path).files() == visible
    table = pa.ipc.open_file(file).read_all()
    table.validate(full=True)
    assert table.column("boxes").to_pylist() == rows_of(expected)
    assert table.schema.field("boxes").metadata == {
        b"specplan.dtype": b"float32",
        b"specplan.shape": b"[null, null]",
    }
    assert pl.read_ipc(file)["boxes"].to_list() == rows_of(expected)
    frame = pd.read_feather(file)
    found = [row["data"].reshape(row["shape"]) for row in frame["boxes"]]
    assert same_arrays(found, expected)
    # A stream reader that starts behind the magic finds the same rows.
    with Path(file).open("rb") as source:
        source.seek(8)
        assert pa.ipc.open_stream(source).read_all().equals(table)


def test_arrays_alias_the_map_and_outlive_the_reader(tmp_path: Path) -> None:
    store = create(tmp_path)
    recorded = [np.ones((3, 4), np.float32), np.zeros((2, 2), np.float32)]
    ragged_channel(store).record(recorded, 0, 0)
    store.close()
    reader = only_ragged(tmp_path)
    arrays, again = reader.get(0, 0), reader.at(0)
    assert np.shares_memory(arrays[0], again[0])
    assert not arrays[0].flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        arrays[0][0] = 2
    del reader, again
    for path in tmp_path.rglob("*.arrow"):
        path.unlink()
    assert same_arrays(arrays, recorded)


def test_chunks_roll_by_rows_and_by_numbers(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = ragged_channel(store, dtype="int64", dimensions=1)
    sizes = [1, 200_000, 3, 0, 2_000_000, 5, 10, 100_000] * 3
    for batch, size in enumerate(sizes):
        values.record([np.full(size, batch), np.full(batch % 3, -1)], 0, batch)
    many = [np.arange(row % 3) for row in range(200_000)]
    values.record(many, 1, 0)
    values.record(many, 1, 1)
    store.close()
    reader = only_ragged(tmp_path)
    assert len(reader.files()) > 3
    for batch, size in enumerate(sizes):
        first, second = reader.get(0, batch)
        assert first.shape == (size,)
        assert second.shape == (batch % 3,)
        assert (first == batch).all()
    assert same_arrays(reader.get(1, 1), many)
    tables = [pa.ipc.open_file(file).read_all() for file, _, _ in reader.files()]
    assert sum(table.num_rows for table in tables) == reader.rows == 2 * len(sizes) + 400_000
    for table in tables:
        table.validate(full=True)


def test_arrays_that_are_not_contiguous(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = ragged_channel(store)
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    tensor = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    arrays = [array.T, array[:, ::-2], np.broadcast_to(array[0], (3, 6)), array[:, :3].data]
    tensors = [tensor.T, tensor[::2], tensor[:0], tensor[:1].expand(5, 6), tensor.requires_grad_()]
    values.record([*arrays, *tensors], 0, 0)
    values.record(tuple(np.stack([array, array])), 0, 1)
    values.record(torch.stack([tensor, tensor]), 0, 2)
    store.close()
    reader = only_ragged(tmp_path)
    expected = [np.array(array) for array in arrays] + [one.detach().numpy() for one in tensors]
    assert same_arrays(reader.get(0, 0), [np.ascontiguousarray(one) for one in expected])
    assert same_arrays(reader.get(0, 1), [array, array])
    assert same_arrays(reader.get(0, 2), [array, array])


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning")
@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("bfloat16", "uint16"), ("float8_e4m3fn", "uint8"), ("complex32", "float16")],
)
def test_types_that_numpy_does_not_have(tmp_path: Path, dtype: str, stored: str) -> None:
    store = create(tmp_path)
    values = ragged_channel(store, dtype=dtype)
    parts = (2,) if dtype == "complex32" else ()
    bits = [random_array((rows, 3, *parts), stored, rows) for rows in (4, 2, 1)]
    as_torch = [torch.from_numpy(array.view(f"uint{8 * array.itemsize}").copy()) for array in bits]
    if parts:
        halves = [torch.view_as_complex(array.view(torch.float16)) for array in as_torch]
    else:
        halves = [array.view(getattr(torch, dtype)) for array in as_torch]
    values.record(halves, 0, 0)
    values.record([array[::2] for array in halves], 0, 1)
    store.close()
    assert same_arrays(only_ragged(tmp_path).get(0, 0), bits)
    assert same_arrays(only_ragged(tmp_path).get(0, 1), [array[::2].copy() for array in bits])


def test_value_recorded_is_the_value_at_the_call(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = ragged_channel(store)
    arrays = [np.empty((16, rows), np.float32) for rows in (1, 8, 20_000)]
    for batch in range(40):
        for array in arrays:
            array.fill(batch)
        values.record(arrays[: 2 + batch % 2], 0, batch)
        for array in arrays:
            array.fill(-1)
    store.close()
    reader = only_ragged(tmp_path)
    for batch in range(40):
        assert all((array == batch).all() for array in reader.get(0, batch))


def test_refusals_name_the_position(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = ragged_channel(store)
    good = np.zeros((2, 2), np.float32)
    with pytest.raises(TypeError, match=r"^array 1: the array is `float64`; .* `float32`$"):
        values.record([good, np.zeros((2, 2))], 0, 0)
    with pytest.raises(
        ValueError, match=r"^array 2: .* shape \(3\); the channel holds arrays of 2 dimensions$"
    ):
        values.record([good, good, np.zeros(3, np.float32)], 0, 0)
    with pytest.raises(ValueError, match=r"^array 0: the array has shape \(\)"):
        values.record(np.zeros(4, np.float32), 0, 0)
    with pytest.raises(TypeError, match=r"^array 1: expected an array, .*, got `list`$"):
        values.record([good, [[1.0]]], 0, 0)
    with pytest.raises(TypeError, match=r"^array 0: the array is `>f4`"):
        values.record([good.astype(">f4")], 0, 0)
    with pytest.raises(TypeError, match="not iterable"):
        values.record(3, 0, 0)  # type: ignore[arg-type]
    for dimensions in (0, 65):
        with pytest.raises(ValueError, match=f"have 1 to 64 dimensions, not {dimensions}$"):
            ragged_channel(store, "other", dimensions=dimensions)
    with pytest.raises(
        ValueError,
        match="boxes` is ragged float32 of dimension 2, not ragged float32 of dimension 3$",
    ):
        ragged_channel(store, dimensions=3)
    with pytest.raises(ValueError, match=r"is ragged float32 of dimension 2, not float32 \[2\]$"):
        channel(store, "boxes", shape=(2,))
    assert store.sync() == 0


def test_kill_at_a_random_moment(tmp_path: Path) -> None:
    generator = random.Random(3)
    watermarks = []
    for trial in range(5):
        path = tmp_path / str(trial)
        writer = start_writer(path, 10**9)
        time.sleep(generator.uniform(0, 0.4))
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        watermarks.append(check_prefix(path))
        for file in path.rglob("chunk-*.arrow"):
            pa.ipc.open_file(file).read_all().validate(full=True)
    assert max(watermarks) > 0


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, 1500)
    watermarks = []
    while writer.poll() is None:
        watermarks.append(check_prefix(tmp_path))
    assert writer.returncode == 0
    assert check_prefix(tmp_path) == 4500
    assert watermarks == sorted(watermarks)


def record_phase(store: Store) -> list[list[np.ndarray]]:
    ids = channel(store, "sample_id", "int64", ())
    boxes = ragged_channel(store)
    flags = ragged_channel(store, "flags", "bool", 1)
    expected = []
    for batch in range(30):
        arrays = [random_array((row, 2), "uint8", row).astype(np.float32) for row in range(4)]
        ids.record(np.arange(4) + 4 * batch, 0, batch)
        boxes.record(arrays, 0, batch)
        flags.record([array[:, 0] > 100 for array in arrays], 0, batch)
        expected.append(arrays)
    return expected


def test_execution_table(tmp_path: Path) -> None:
    store = create(tmp_path / "records")
    expected = [array for arrays in record_phase(store) for array in arrays]
    store.close()
    path = tmp_path / "execution.parquet"
    assert export_execution(str(tmp_path / "records"), "train", str(path), run_id="r") == 120
    frame = pl.read_parquet(path)
    assert frame["MLP.boxes"].to_list() == rows_of(expected)
    flags = [{"data": (array[:, 0] > 100).tolist(), "shape": [len(array)]} for array in expected]
    assert frame["MLP.flags"].to_list() == flags
    rows = pd.read_parquet(path)["MLP.boxes"]
    assert same_arrays([row["data"].reshape(row["shape"]) for row in rows], expected)
    query = f"""select sample_id, "MLP.boxes".shape[1], list_sum("MLP.boxes".data) from '{path}'"""
    found = duckdb.execute(query).fetchall()
    assert found == [
        (sample, len(array), array.sum() if array.size else None)
        for sample, array in enumerate(expected)
    ]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    store = create(tmp_path)
    ragged_channel(store, "numbers", "float64", 1).record([np.array([1.0, 1234.5])], 0, 0)
    store.close()
    ((file, _, _),) = only_ragged(tmp_path).files()
    data = bytearray(Path(file).read_bytes())
    data[data.index(np.float64(1234.5).tobytes()) + 3] ^= 4
    Path(file).write_bytes(data)
    with pytest.raises(StoreError, match=r"is damaged at byte [0-9]+: a batch does not match"):
        export_execution(str(tmp_path), "train", str(tmp_path / "x.parquet"), run_id="r")


def test_readers_of_each_kind_see_their_own(tmp_path: Path) -> None:
    store = create(tmp_path)
    channel(store).record(np.zeros((1, 4), np.float32), 0, 0)
    ragged_channel(store).record([np.zeros((1, 4), np.float32)], 0, 0)
    store.close()
    reader = StoreReader.open(str(tmp_path))
    assert [one.field for one in reader.tensors()] == ["outputs"]
    assert [one.field for one in reader.ragged()] == ["boxes"]
    assert reader.texts() == []
