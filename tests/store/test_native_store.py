"""The record store as Python sees it: values, live readers, kills, refusals, exports."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specplan._native import (
    Store,
    StoreReader,
    TensorChannel,
    TensorReader,
    export_execution,
    export_metrics,
)
from specplan.errors import StoreError

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


def create(path: Path, **options: int) -> Store:
    return Store.create(str(path), run_id="run-1", **options)


def channel(
    store: Store,
    field: str = "outputs",
    dtype: str = "float32",
    shape: tuple[int, ...] = (4,),
    *,
    phase: str = "train",
    node: str = "MLP",
    role: str = "default",
) -> TensorChannel:
    return store.tensor(phase=phase, node=node, role=role, field=field, dtype=dtype, shape=shape)


def only_tensor(path: Path) -> TensorReader:
    (tensor,) = StoreReader.open(str(path)).tensors()
    return tensor


def random_rows(rows: int, shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    size = rows * int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = np.random.default_rng(seed).bytes(size)
    if dtype == "bool":
        return (np.frombuffer(data, np.uint8) % 2 == 0).reshape(rows, *shape)
    return np.frombuffer(data, dtype).reshape(rows, *shape)


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and left.tobytes() == right.tobytes()
    )


# ---- values ------------------------------------------------------------------------------------


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
    values.record(memoryview(np.ascontiguousarray(array[:, :4])), 0, 2)
    store.close()
    tensor = only_tensor(tmp_path)
    assert same_bits(tensor.get(0, 0), array.T.copy())
    assert same_bits(tensor.get(0, 1), array[:, ::3].copy())
    assert same_bits(tensor.get(0, 2), array[:, :4].copy())


def test_torch_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
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


def test_metrics(tmp_path: Path) -> None:
    store = create(tmp_path, session=3)
    names = ["loss", "a name that does not fit into a view", "größe"]
    group = store.metrics(
        [("train", None if name == "loss" else "MLP", "val", name) for name in names]
    )
    values = [[1.0, float("nan"), float("-inf")], [0.1, 2.0, 3.0]]
    group.log(np.array(values[0]), 0, 5, 5)
    group.log(np.array(values[1]), -1, -1, 6)
    store.sync()
    target = tmp_path / "metrics.parquet"
    assert export_metrics(str(tmp_path), str(target), run_id="run-1") == 6
    store.close()
    frame = pd.read_parquet(target)
    assert list(frame) == [
        "run_id",
        "session",
        "phase",
        "node",
        "split",
        "name",
        "epoch",
        "batch",
        "step",
        "time",
        "value",
    ]
    assert frame["name"].tolist() == names * 2
    assert np.array(frame["value"]).tobytes() == np.array(values).tobytes()
    assert frame["session"].tolist() == [3] * 6
    assert frame["node"].isna().tolist() == [True, False, False] * 2
    assert frame["epoch"].isna().tolist() == [False] * 3 + [True] * 3
    assert frame["step"].tolist() == [5] * 3 + [6] * 3
    ((path, rows),) = StoreReader.open(str(tmp_path)).metric_files()
    assert rows == 6
    assert pl.read_ipc(path)["name"].to_list() == names * 2
    assert duckdb.sql(f"select count(*) from '{target}' where batch is null").fetchall() == [(3,)]


def test_metrics_roll_over_many_chunks(tmp_path: Path) -> None:
    store = create(tmp_path)
    groups = [
        store.metrics([("train", None, None, f"{'x' * 200}-{g}-{n}") for n in range(60)])
        for g in range(30)
    ]
    for step in range(20):
        for number, group in enumerate(groups):
            group.log(np.arange(60) + 100.0 * number, 0, step, step)
    store.close()
    files = StoreReader.open(str(tmp_path)).metric_files()
    assert len(files) == 3
    frame = pl.concat([pl.read_ipc(path) for path, _ in files])
    assert frame["value"].to_list() == [
        100.0 * g + n for _ in range(20) for g in range(30) for n in range(60)
    ]
    assert frame["name"].to_list() == [
        f"{'x' * 200}-{g}-{n}" for _ in range(20) for g in range(30) for n in range(60)
    ]
    assert export_metrics(str(tmp_path), str(tmp_path / "m.parquet"), run_id="r") == 36_000


# ---- wrong use ---------------------------------------------------------------------------------


def test_wrong_arrays(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    with pytest.raises(TypeError, match=r"^the array is `float64`; the channel holds `float32`$"):
        values.record(np.zeros((2, 4)), 0, 0)
    with pytest.raises(TypeError, match="the array is `>f4`"):
        values.record(np.zeros((2, 4), ">f4"), 0, 0)
    with pytest.raises(
        ValueError, match=r"^the array has shape \(2, 3\); the channel holds \(rows, 4\)$"
    ):
        values.record(np.zeros((2, 3), np.float32), 0, 0)
    with pytest.raises(ValueError, match=r"shape \(\)"):
        values.record(np.float32(1)[...], 0, 0)
    with pytest.raises(
        TypeError, match=r"^expected an array, a CPU tensor or a buffer, got `list`$"
    ):
        values.record([1.0], 0, 0)
    with pytest.raises(ValueError, match="unknown dtype `float31`; known: bool, "):
        channel(store, dtype="float31")
    with pytest.raises(ValueError, match=r"is float32 \[4\], not float32 \[5\]"):
        channel(store, shape=(5,))
    with pytest.raises(ValueError, match="too large"):
        channel(store, "huge", shape=(1 << 40, 1 << 40))
    group = store.metrics([("train", None, None, "loss")])
    with pytest.raises(ValueError, match=r"^the buffer of values has 16 bytes; expected 8$"):
        group.log(np.zeros(2), 0, 0, 0)
    assert store.sync() == 0


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    store = create(tmp_path)
    with pytest.raises(StoreError, match=f"is being written by process {os.getpid()}$"):
        create(tmp_path)
    code = "import sys; from specplan._native import Store; Store.create(sys.argv[1], run_id='r')"
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert f"is being written by process {os.getpid()}" in other.stderr
    store.close()
    with pytest.raises(StoreError, match="holds records already"):
        create(tmp_path)


def test_a_closed_store_refuses(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    store.close()
    store.close()
    for call in (
        store.sync,
        lambda: values.record(np.zeros((1, 4), np.float32), 0, 0),
        lambda: channel(store, "x"),
    ):
        with pytest.raises(StoreError, match=r"is closed$"):
            call()


def test_a_folder_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a record store"):
        StoreReader.open(str(tmp_path))


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


# ---- readers -----------------------------------------------------------------------------------


def test_arrays_alias_the_map_and_outlive_the_reader(tmp_path: Path) -> None:
    store = create(tmp_path)
    channel(store).record(np.ones((3, 4), np.float32), 0, 0)
    store.close()
    tensor = only_tensor(tmp_path)
    first, again, (chunk,) = tensor.get(0, 0), tensor.at(0), tensor.chunks()
    assert np.shares_memory(first, again)
    assert np.shares_memory(first, chunk)
    assert not first.flags.owndata
    assert first.ctypes.data % 64 == 0
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 2
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        first.flags.writeable = True
    del tensor, again, chunk
    for path in tmp_path.rglob("*.arrow"):
        path.unlink()
    assert (first == 1).all()


def test_missing_batches(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    values.record(np.zeros((1, 4), np.float32), 1, 1)
    store.sync()
    tensor = only_tensor(tmp_path)
    with pytest.raises(KeyError, match="has no batch 2 of epoch 1"):
        tensor.get(1, 2)
    with pytest.raises(IndexError, match="has 1 batches; there is none at position 1"):
        tensor.at(1)


def test_a_batch_recorded_twice_reads_as_the_later_one(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    for number, (epoch, batch) in enumerate([(0, 0), (0, 1), (1, 0), (0, 1), (0, 2)]):
        values.record(np.full((1, 4), number, np.float32), epoch, batch)
    store.close()
    tensor = only_tensor(tmp_path)
    assert [tensor.get(*key)[0, 0] for key in [(0, 0), (0, 1), (1, 0), (0, 2)]] == [0, 3, 2, 4]


LIVE_WRITER = """
import sys, numpy as np
from specplan._native import Store
store = Store.create(sys.argv[1], run_id="r", flush_milliseconds=2)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="float64", shape=[33])
loss = store.metrics([("train", None, None, "loss")])
sizes = [int(size) for size in sys.argv[2].split(",")]
print("ready", flush=True)
batch = 0
while batch < int(sys.argv[3]):
    rows = sizes[batch % len(sizes)]
    values.record(np.arange(rows * 33, dtype=np.float64).reshape(rows, 33) + batch, batch // 100, batch % 100)
    loss.log(np.array([float(batch)]), batch // 100, batch % 100, batch)
    batch += 1
store.close()
"""


def start_writer(path: Path, sizes: str, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LIVE_WRITER, str(path), sizes, str(batches)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout as answers:
        assert answers.readline() == "ready\n"
    return writer


def expected_batch(number: int, sizes: list[int]) -> np.ndarray:
    rows = sizes[number % len(sizes)]
    return np.arange(rows * 33, dtype=np.float64).reshape(rows, 33) + number


def check_prefix(path: Path, sizes: list[int]) -> int:
    """Everything at or below the watermark is there, in order, bit for bit; returns the watermark."""
    reader = StoreReader.open(str(path))
    watermark = reader.watermark
    tensor = reader.tensors()[0]
    index = tensor.index()
    assert index["sequence"].tolist() == list(range(1, watermark + 1, 2))
    for position in range(tensor.batches):
        assert same_bits(tensor.at(position), expected_batch(position, sizes))
        assert tensor.get(position // 100, position % 100).shape[0] == sizes[position % len(sizes)]
    frame = pl.concat(
        [pl.read_ipc(file, n_rows=rows) for file, rows in reader.metric_files()] or [pl.DataFrame()]
    )
    assert frame.height == watermark // 2
    if frame.height:
        assert frame["value"].to_list() == [float(number) for number in range(watermark // 2)]
    return watermark


def test_live_reading_from_another_process(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, "3,200,0", 6000)
    seen = []
    reader = StoreReader.open(str(tmp_path))
    while writer.poll() is None:
        watermark = reader.refresh()
        seen.append(watermark)
        tensor = reader.tensors()[0]
        assert tensor.batches == (watermark + 1) // 2
        if tensor.batches:
            last = tensor.batches - 1
            assert same_bits(tensor.at(last), expected_batch(last, [3, 200, 0]))
        time.sleep(0.002)
    assert writer.wait() == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert reader.refresh() == 12_000
    assert reader.closed
    assert check_prefix(tmp_path, [3, 200, 0]) == 12_000


def with_retry(read: object) -> object:
    """Other readers see the length fields through a map, and may meet a commit half way."""
    for _ in range(20):
        try:
            return read()  # type: ignore[operator]
        except (pa.ArrowInvalid, OSError, pl.exceptions.PolarsError):
            time.sleep(0.001)
    return read()  # type: ignore[operator]


def test_other_libraries_read_the_growing_files(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, "4", 200_000)
    try:
        reader = StoreReader.open(str(tmp_path))
        while not reader.tensors() or not reader.tensors()[0].files() or not reader.metric_files():
            reader.refresh()
        first = reader.tensors()[0].files()[0][0]
        metrics = reader.metric_files()[0][0]

        def arrow(path: str) -> pa.Table:
            table = pa.ipc.open_file(pa.memory_map(path)).read_all()
            table.validate(full=True)
            return table

        for _ in range(20):
            table = with_retry(lambda: arrow(first))
            values = table.column("outputs").combine_chunks().flatten().to_numpy().reshape(-1, 33)
            assert (
                values[:, 0]
                == np.repeat(np.arange(len(values) // 4), 4)
                + np.tile([0, 33, 66, 99], len(values) // 4)
            ).all()
            frame = with_retry(lambda: pl.read_ipc(metrics))
            assert frame["value"].to_list() == [float(number) for number in range(frame.height)]
            assert len(with_retry(lambda: pd.read_feather(first))) % 4 == 0
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.parametrize("sizes", ["3,40,0,7", "1", "2500,5"])
def test_kill_at_a_random_moment(tmp_path: Path, sizes: str) -> None:
    generator = random.Random(sizes)
    watermarks = []
    for trial in range(6):
        path = tmp_path / str(trial)
        writer = start_writer(path, sizes, 10**9)
        time.sleep(generator.uniform(0, 0.25))
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        watermarks.append(check_prefix(path, [int(size) for size in sizes.split(",")]))
        rows = export_metrics(str(path), str(tmp_path / "metrics.parquet"), run_id="r")
        assert rows == watermarks[-1] // 2
    assert max(watermarks) > 0


def test_what_was_synced_survives_a_kill(tmp_path: Path) -> None:
    code = """
import os, signal, sys, numpy as np
from specplan._native import Store
store = Store.create(sys.argv[1], run_id="r", flush_milliseconds=60_000)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="int64", shape=[])
for batch in range(1000):
    values.record(np.arange(7) + batch, 0, batch)
assert store.sync() == 1000
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert result.returncode == -signal.SIGKILL
    reader = StoreReader.open(str(tmp_path))
    assert (reader.watermark, reader.closed) == (1000, False)
    assert all(
        (reader.tensors()[0].get(0, batch) == np.arange(7) + batch).all() for batch in range(1000)
    )


# ---- process life ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "raise RuntimeError", "del store, values"])
def test_exit_without_close_loses_nothing(tmp_path: Path, ending: str) -> None:
    code = f"""
import sys, numpy as np
from specplan._native import Store
store = Store.create(sys.argv[1], run_id="r", flush_milliseconds=60_000)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="int64", shape=[])
for batch in range(500):
    values.record(np.arange(7) + batch, 0, batch)
{ending}
"""
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, timeout=20
    )
    reader = StoreReader.open(str(tmp_path))
    assert (reader.watermark, reader.closed) == (500, True)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_write_and_does_not_hold_the_lock(tmp_path: Path) -> None:
    code = """
import os, sys, time, numpy as np
from specplan._native import Store
from specplan.errors import StoreError
store = Store.create(sys.argv[1], run_id="r")
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="int64", shape=[])
values.record(np.arange(7), 0, 0)
child = os.fork()
if child == 0:
    try:
        values.record(np.arange(7), 0, 1)
    except StoreError as error:
        assert f"belongs to process {os.getppid()}" in str(error), error
        store.close()
        del values, store
        sys.exit(7)
    sys.exit(8)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
if os.fork() == 0:
    time.sleep(20)
values.record(np.arange(7), 0, 1)
store.sync()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=20)
    assert only_tensor(tmp_path).batches == 2
    # The sleeping grandchild lives on; the lock went with its owner.
    with pytest.raises(StoreError, match="holds records already"):
        create(tmp_path)


def test_a_failed_write_is_raised_by_the_next_calls(tmp_path: Path) -> None:
    code = """
import resource, signal, sys, numpy as np
from specplan._native import Store
from specplan.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.create(sys.argv[1], run_id="r")
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="float64", shape=[100])
for batch in range(5):
    values.record(np.full((10, 100), batch, np.float64), 0, batch)
store.sync()
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
errors = []
for batch in range(5, 2000):
    try:
        values.record(np.full((10, 100), batch, np.float64), 0, batch)
    except StoreError as error:
        errors.append(str(error))
for call in (store.sync, store.close):
    try:
        call()
    except StoreError as error:
        errors.append(str(error))
assert errors and all("File too large" in error and "arrow" in error for error in errors), errors[:3]
assert store.statistics()["dropped"] > 0
print(len(errors))
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert result.returncode == 0, result.stderr
    tensor = only_tensor(tmp_path)
    assert tensor.batches >= 5
    assert all((tensor.get(0, batch) == batch).all() for batch in range(tensor.batches))


# ---- export ------------------------------------------------------------------------------------


def record_phase(store: Store, batches: int = 50) -> None:
    outputs = channel(store, "outputs", "float32", (2,))
    anchor = channel(store, "outputs", "float32", (2, 2), role="anchor")
    flag = channel(store, "flag", "bool", ())
    loss = channel(store, "loss", "float64", ())
    ids = channel(store, "sample_id", "int64", ())
    channel(store, "outputs", "float32", (1,), phase="other").record(
        np.ones((1, 1), np.float32), 0, 0
    )
    for number in range(batches):
        epoch, batch = divmod(number, 10)
        rows = 4 if batch < 9 else 3
        sample = np.arange(rows) + 4 * batch
        ids.record(sample, epoch, batch)
        outputs.record(np.stack([sample, sample + epoch], 1).astype(np.float32), epoch, batch)
        anchor.record(np.ones((rows, 2, 2), np.float32), epoch, batch)
        flag.record(sample % 2 == 0, epoch, batch)
        loss.record(sample / 2, epoch, batch)


def test_execution_table(tmp_path: Path) -> None:
    store = create(tmp_path / "records")
    record_phase(store)
    store.sync()
    live, closed = tmp_path / "live.parquet", tmp_path / "closed.parquet"
    assert export_execution(str(tmp_path / "records"), "train", str(live), run_id="run-1") == 5 * 39
    channel(store, "loss", "float64", ()).record(np.zeros(4), 9, 9)
    store.close()
    assert (
        export_execution(str(tmp_path / "records"), "train", str(closed), run_id="run-1") == 5 * 39
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "closed.parquet",
        "live.parquet",
        "records",
    ]
    frame = pl.read_parquet(live)
    assert frame.equals(pl.read_parquet(closed))
    assert frame.columns == [
        *["run_id", "phase", "epoch", "batch", "sample_id"],
        *["MLP.outputs", "MLP.anchor.outputs", "MLP.flag", "MLP.loss"],
    ]
    assert frame["sample_id"].to_list() == list(range(39)) * 5
    assert frame["epoch"].to_list() == [epoch for epoch in range(5) for _ in range(39)]
    assert frame["MLP.outputs"].to_list() == [[s, s + e] for e in range(5) for s in range(39)]
    assert frame["MLP.flag"].to_list() == [s % 2 == 0 for _ in range(5) for s in range(39)]
    metadata = pq.read_schema(live).field("MLP.anchor.outputs").metadata
    assert metadata == {b"specplan.dtype": b"float32", b"specplan.shape": b"[2, 2]"}
    assert np.array(pd.read_parquet(live)["MLP.anchor.outputs"].tolist()).shape == (195, 4)
    query = f"""select sample_id, avg("MLP.loss"), sum("MLP.outputs"[2]) from '{live}' group by 1 order by 1"""
    assert duckdb.sql(query).fetchall() == [(s, s / 2, 5.0 * s + 10) for s in range(39)]


def test_execution_table_of_an_unknown_phase(tmp_path: Path) -> None:
    store = create(tmp_path)
    record_phase(store, 1)
    store.close()
    with pytest.raises(
        StoreError, match=r"has no tensor records of phase `fit`; known: other, train$"
    ):
        export_execution(str(tmp_path), "fit", str(tmp_path / "x.parquet"), run_id="r")


def test_execution_table_needs_equal_rows(tmp_path: Path) -> None:
    store = create(tmp_path)
    channel(store, "sample_id", "int64", ()).record(np.arange(4), 0, 0)
    channel(store, "loss", "float64", ()).record(np.zeros(3), 0, 0)
    store.close()
    with pytest.raises(
        StoreError, match=r"batch 0 of epoch 0 has 3 rows in `train.MLP.default.loss` and 4 in"
    ):
        export_execution(str(tmp_path), "train", str(tmp_path / "x.parquet"), run_id="r")
    assert not list(tmp_path.glob("x.parquet*"))


def test_export_refuses_a_flipped_bit(tmp_path: Path) -> None:
    store = create(tmp_path)
    record_phase(store)
    group = store.metrics([("train", None, None, "loss")])
    group.log(np.array([1234.5]), 0, 0, 0)
    store.close()
    reader = StoreReader.open(str(tmp_path))
    loss = next(tensor for tensor in reader.tensors() if tensor.field == "loss")
    for path, needle in (
        (loss.files()[0][0], np.float64(17.5)),
        (reader.metric_files()[0][0], np.float64(1234.5)),
    ):
        data = bytearray(Path(path).read_bytes())
        data[data.index(needle.tobytes()) + 3] ^= 4
        Path(path).write_bytes(data)
    with pytest.raises(
        StoreError, match=r"is damaged at byte [0-9]+: a batch does not match its checksum"
    ):
        export_execution(str(tmp_path), "train", str(tmp_path / "x.parquet"), run_id="r")
    with pytest.raises(
        StoreError, match=r"is damaged at byte [0-9]+: a metric does not match its checksum"
    ):
        export_metrics(str(tmp_path), str(tmp_path / "x.parquet"), run_id="r")
