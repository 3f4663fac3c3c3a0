"""Types that numpy or torch has alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from specplan._native import StoreReader, export_execution
from tests.store.records import channel, create, only_tensor, same_bits

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "timedelta64[ns]"])
def test_times(tmp_path: Path, dtype: str) -> None:
    store = create(tmp_path)
    values = channel(store, dtype=dtype, shape=(3,))
    times = np.array([[0, -1, 1_700_000_000_123_456_789], [5, 6, 7]], np.int64).view(dtype)
    times[1, 1] = np.array("NaT", dtype)
    values.record(times, 0, 0)
    values.record(times.T[:, [0, 1, 0]].T[:2], 0, 1)
    for wrong in (times.astype(dtype.replace("ns", "us")), times.view(np.int64)):
        with pytest.raises(TypeError, match=rf"the channel holds `{dtype[:5]}"):
            values.record(wrong, 0, 2)
    with values.acquire(2, 0, 2) as slot:
        assert slot.array.dtype == dtype
        slot.array[:] = times
    store.close()
    tensor = only_tensor(tmp_path)
    assert same_bits(tensor.get(0, 0), times)
    assert same_bits(tensor.get(0, 1), np.ascontiguousarray(times.T[:, [0, 1, 0]].T[:2]))
    assert same_bits(tensor.get(0, 2), times)
    kind = pa.timestamp("ns") if dtype.startswith("date") else pa.duration("ns")
    ((file, *_),) = tensor.files()
    table = pa.ipc.open_file(file).read_all()
    assert table["outputs"].type.value_type == kind
    export_execution(str(tmp_path), "train", str(tmp_path / "train.parquet"), run_id="r")
    exported = pq.read_table(tmp_path / "train.parquet")["MLP.outputs"]
    assert exported.type.value_type == kind
    assert exported.combine_chunks().flatten().cast(pa.int64()).to_pylist()[:3] == [
        *(0, -1, 1_700_000_000_123_456_789),
    ]


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_float8(tmp_path: Path, dtype: str) -> None:
    store = create(tmp_path)
    values = channel(store, dtype=dtype, shape=(3,))
    numbers = torch.tensor([[1.5, -2.0, 0.25], [448.0, 0.0, -0.5]]).to(getattr(torch, dtype))
    values.record(numbers, 0, 0)
    values.record(numbers[:, :2].repeat(2, 1).T.contiguous().T.repeat(1, 2)[:, :3], 0, 1)
    values.record(numbers[:, [2, 1, 0]].T.contiguous().T, 0, 2)
    for wrong in (numbers.float(), numbers.view(torch.uint8), np.zeros((2, 3), np.uint8)):
        with pytest.raises(TypeError, match=f"the channel holds `{dtype}`"):
            values.record(wrong, 0, 3)
    store.close()
    tensor = only_tensor(tmp_path)
    assert (tensor.dtype, tensor.shape) == (dtype, (3,))
    bits = numbers.view(torch.uint8).numpy()
    assert same_bits(tensor.get(0, 0), bits)
    assert same_bits(tensor.get(0, 2), np.ascontiguousarray(bits[:, [2, 1, 0]]))
    back = torch.from_numpy(tensor.get(0, 0).copy()).view(getattr(torch, dtype))
    assert torch.equal(back.float(), numbers.float())
    export_execution(str(tmp_path), "train", str(tmp_path / "train.parquet"), run_id="r")
    exported = pq.read_table(tmp_path / "train.parquet")
    assert exported["MLP.outputs"].to_pylist()[:2] == bits.tolist()
    assert exported.schema.field("MLP.outputs").metadata[b"specplan.dtype"] == dtype.encode()


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_complex32(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store, dtype="complex32", shape=(2,))
    halves = torch.tensor([[[1.5, -2.0], [0.25, 3.0]], [[0.0, 1.0], [5.0, 6.0]]], dtype=torch.half)
    numbers = torch.view_as_complex(halves)
    values.record(numbers, 0, 0)
    values.record(numbers.T, 0, 1)
    with pytest.raises(TypeError, match="the channel holds `complex32`"):
        values.record(np.zeros((2, 2), np.complex64), 0, 2)
    with values.acquire(2, 0, 2) as slot:
        slot.array[:] = halves.numpy()
    store.close()
    tensor = only_tensor(tmp_path)
    assert (tensor.dtype, tensor.shape) == ("complex32", (2,))
    assert same_bits(tensor.get(0, 0), halves.numpy())
    assert same_bits(tensor.get(0, 1), np.ascontiguousarray(halves.numpy().swapaxes(0, 1)))
    assert same_bits(tensor.get(0, 2), halves.numpy())
    back = torch.view_as_complex(torch.from_numpy(tensor.get(0, 0).copy()))
    assert torch.equal(torch.view_as_real(back), halves)


def test_an_empty_store_has_no_arrays_of_any_type(tmp_path: Path) -> None:
    store = create(tmp_path)
    for dtype in ("float8_e5m2", "complex32", "datetime64[ns]"):
        channel(store, dtype, dtype, (2,))
    store.close()
    assert [tensor.rows for tensor in StoreReader.open(str(tmp_path)).tensors()] == [0, 0, 0]
