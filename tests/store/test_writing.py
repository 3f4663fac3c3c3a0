"""What is recorded is what is read: every type, shape and kind of array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from specplan._native import StoreReader
from tests.store.records import channel, create, only_tensor, random_rows, same_bits

NUMPY_DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
SHAPES = [(), (1,), (3,), (2, 3), (2, 0), (4, 1, 5)]


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_round_trip(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    store = create(tmp_path)
    values = channel(store, dtype=dtype, shape=shape)
    batches = [random_rows(rows, shape, dtype, rows) for rows in (5, 0, 1, 32)]
    sequences = [values.record(batch, 0, number) for number, batch in enumerate(batches)]
    assert sequences == [1, 2, 3, 4]
    assert store.sync() == 4
    live = only_tensor(tmp_path)
    store.close()
    for tensor in (live, only_tensor(tmp_path)):
        assert (tensor.dtype, tensor.shape, tensor.rows, tensor.batches) == (dtype, shape, 38, 4)
        assert all(same_bits(tensor.get(0, number), batch) for number, batch in enumerate(batches))
        assert same_bits(np.concatenate(tensor.chunks()), np.concatenate(batches))


def test_value_recorded_is_the_value_at_the_call(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store, shape=(8,))
    array = np.empty((16, 8), np.float32)
    for batch in range(300):
        array.fill(batch)
        values.record(array, 0, batch)
        array.fill(-1)
    store.close()
    tensor = only_tensor(tmp_path)
    assert all((tensor.get(0, batch) == batch).all() for batch in range(300))


def test_arrays_that_are_not_contiguous(tmp_path: Path) -> None:
    store = create(tmp_path)
    array = np.arange(48, dtype=np.float32).reshape(4, 12)
    values = channel(store)
    values.record(array.T[:, :], 0, 0)
    values.record(array[:, ::3], 0, 1)
    values.record(np.ascontiguousarray(array[:, :4]).data, 0, 2)
    store.close()
    tensor = only_tensor(tmp_path)
    assert same_bits(tensor.get(0, 0), array.T.copy())
    assert same_bits(tensor.get(0, 1), array[:, ::3].copy())
    assert same_bits(tensor.get(0, 2), array[:, :4].copy())


def test_torch_tensors(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    leaf = torch.arange(12, dtype=torch.float32).reshape(3, 4).requires_grad_()
    parameter = torch.nn.Parameter(torch.ones(2, 4))
    wide = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = [leaf, leaf * 2, parameter, wide.T, torch.zeros(0, 4), torch.ones(1, 4).expand(3, 4)]
    for number, tensor in enumerate(tensors):
        values.record(tensor, 0, number)
    brain = channel(store, "brain", "bfloat16", (2,))
    halves = torch.tensor([[1.5, -2.0], [0.25, 3.0]], dtype=torch.bfloat16)
    brain.record(halves, 0, 0)
    brain.record(halves.T, 0, 1)
    complex_values = channel(store, "complex", "complex64", (2,))
    numbers = torch.tensor([[1 + 2j, 3 - 4j]])
    complex_values.record(numbers.conj(), 0, 0)
    imaginary = channel(store, "imaginary", "float32", ())
    imaginary.record(torch.tensor([1 + 2j]).conj().imag, 0, 0)
    store.close()
    outputs, brains, complexes, imaginaries = StoreReader.open(str(tmp_path)).tensors()
    for number, tensor in enumerate(tensors):
        assert same_bits(outputs.get(0, number), tensor.detach().numpy().copy())
    assert brains.dtype == "bfloat16"
    assert same_bits(brains.get(0, 0), halves.view(torch.int16).numpy().view(np.uint16))
    assert same_bits(
        brains.get(0, 1), halves.T.contiguous().view(torch.int16).numpy().view(np.uint16)
    )
    assert same_bits(complexes.get(0, 0), np.array([[1 - 2j, 3 + 4j]], np.complex64))
    assert imaginaries.get(0, 0).tolist() == [-2.0]


def test_batches_larger_than_a_staging_block(tmp_path: Path) -> None:
    store = create(tmp_path)
    small, large = channel(store, "small"), channel(store, "large", shape=(1000,))
    arrays = [random_rows(700, (1000,), "float32", seed) for seed in range(8)]
    for batch, array in enumerate(arrays):
        small.record(array[:2, :4], 0, batch)
        large.record(array, 0, batch)
    assert store.statistics()["bytes"] == 8 * (700 * 1000 + 8) * 4
    store.close()
    tensors = StoreReader.open(str(tmp_path)).tensors()
    assert tensors[0].index()["sequence"].tolist() == list(range(1, 17, 2))
    assert tensors[1].index()["sequence"].tolist() == list(range(2, 17, 2))
    assert all(same_bits(tensors[1].get(0, batch), array) for batch, array in enumerate(arrays))
    assert len(tensors[1].files()) > 1


def test_back_pressure_waits_and_is_counted(tmp_path: Path) -> None:
    store = create(tmp_path, staging_bytes=64 << 10)
    values = channel(store, shape=(256,))
    for batch in range(2000):
        values.record(np.full((8, 256), batch, np.float32), 0, batch)
    statistics = store.statistics()
    store.close()
    assert statistics["stalls"] > 0
    assert statistics["stall_nanoseconds"] > 0
    assert statistics["dropped"] == 0
    tensor = only_tensor(tmp_path)
    assert all((tensor.get(0, batch) == batch).all() for batch in range(2000))


def test_several_threads_record(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = create(tmp_path, staging_bytes=256 << 10)
    shared = channel(store, "shared", shape=(64,))
    own = [channel(store, f"own{number}", shape=(64,)) for number in range(4)]

    def work(number: int) -> None:
        for batch in range(300):
            rows = 4 if batch % 50 else 1000
            array = np.full((rows, 64), number * 1000 + batch, np.float32)
            own[number].record(array, 0, batch)
            shared.record(array, number, batch)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    store.close()
    tensors = StoreReader.open(str(tmp_path)).tensors()
    assert [tensor.batches for tensor in tensors] == [1200, 300, 300, 300, 300]
    everything = np.concatenate([tensor.index()["sequence"] for tensor in tensors])
    assert sorted(everything.tolist()) == list(range(1, 2401))
    for number in range(4):
        for batch in range(300):
            assert (tensors[0].get(number, batch) == number * 1000 + batch).all()


def test_odd_labels_make_safe_folders(tmp_path: Path) -> None:
    store = create(tmp_path)
    labels = ["../..", "a/b", "ümlaut . %", "", "x" * 300]
    for number, label in enumerate(labels):
        channel(store, phase=label, node=label).record(np.full((1, 4), number, np.float32), 0, 0)
    store.close()
    tensors = StoreReader.open(str(tmp_path)).tensors()
    assert [(tensor.phase, tensor.node) for tensor in tensors] == [
        (label, label) for label in labels
    ]
    assert [tensor.get(0, 0)[0, 0] for tensor in tensors] == list(range(5))
    assert all(Path(tensor.files()[0][0]).parent.parent == tmp_path for tensor in tensors)
