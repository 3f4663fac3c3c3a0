"""Recording of tensors that are on a device: on one that copies when a test says so, and on CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from specplan._native import Store, StoreReader, TensorReader
from specplan.errors import StoreError
from specplan.store.device import Copies, Cuda, DeviceChannel
from specplan.store.torch_memory import as_tensor

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class Late:
    """A device whose copies end in their order, when `run` lets them, or when somebody waits."""

    def __init__(self) -> None:
        self.pinned: dict[int, int] = {}
        self.pins = 0
        self.queue: list[LateCopy] = []

    def pin(self, address: int, size: int) -> None:
        assert address not in self.pinned, "the driver refuses to pin a page twice"
        self.pinned[address] = size
        self.pins += 1

    def unpin(self, address: int) -> None:
        del self.pinned[address]

    def copy(self, tensor: torch.Tensor, pages: NDArray[Any]) -> LateCopy:
        assert pages.ctypes.data in self.pinned
        copy = LateCopy(self, tensor.clone(), pages)
        self.queue.append(copy)
        return copy

    def run(self, count: int) -> None:
        for copy in self.queue[:count]:
            as_tensor(copy.pages, copy.tensor.dtype).copy_(copy.tensor)
            copy.done = True
        del self.queue[:count]


class LateCopy:
    """A copy that has been queued, and its event."""

    def __init__(self, device: Late, tensor: torch.Tensor, pages: NDArray[Any]) -> None:
        self.tensor, self.pages, self.done = tensor, pages, False
        self._device = device

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        while not self.done:
            self._device.run(1)


class Run:
    """A store with one channel on a device."""

    def __init__(self, path: Path, dtype: str = "float32", most_bytes: int = 1 << 20) -> None:
        self.path = path
        self.device = Late()
        self.store = Store.create(str(path), run_id="run", flush_milliseconds=1)
        self.copies = Copies(self.device, most_waiting_bytes=most_bytes)
        self.channel = self.bind("outputs", dtype)

    def bind(self, field: str, dtype: str) -> DeviceChannel:
        channel = self.store.tensor(
            phase="train", node="MLP", role="default", field=field, dtype=dtype, shape=(4,)
        )
        return DeviceChannel(channel, self.copies, dtype=dtype, shape=(4,))

    def seen(self) -> TensorReader:
        return StoreReader.open(str(self.path)).tensors()[0]

    def close(self) -> TensorReader:
        self.copies.close()
        self.store.close()
        return self.seen()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "records")


def rows(value: float) -> torch.Tensor:
    return torch.full((2, 4), float(value))


def test_the_value_is_that_at_the_call(run: Run) -> None:
    tensor = rows(0)
    for batch in range(50):
        assert run.channel.record(tensor, 0, batch) == batch + 1
        tensor += 1
        run.device.run(batch % 3)
    reader = run.close()
    assert reader.index()["sequence"].tolist() == list(range(1, 51))
    assert all((reader.get(0, batch) == batch).all() for batch in range(50))


def test_a_record_is_committed_when_its_copy_is_found_done(run: Run) -> None:
    for batch in range(3):
        run.channel.record(rows(batch), 0, batch)
    run.device.run(2)
    with pytest.raises(StoreError, match="a slot that was not committed"):
        run.store.sync()
    assert run.seen().batches == 0
    run.channel.record(rows(3), 0, 3)
    with pytest.raises(StoreError, match="record 3 of .* is a slot that was not committed"):
        run.store.sync()
    assert run.seen().batches == 2
    run.copies.finish()
    assert run.store.sync() == 4
    assert run.close().batches == 4


def test_pages_are_pinned_once_and_let_go_at_the_end(run: Run) -> None:
    for batch in range(40):
        run.channel.record(rows(batch), 0, batch)
        run.copies.finish()
        run.store.sync()
    assert run.device.pins == 1
    run.close()
    assert run.device.pinned == {}


def test_copies_that_would_be_too_many_are_waited_for(tmp_path: Path) -> None:
    run = Run(tmp_path / "records", most_bytes=100)
    for batch in range(9):
        run.channel.record(rows(batch), 0, batch)
        assert sum(copy.tensor.nbytes for copy in run.device.queue) <= 100
    run.channel.record(torch.ones(100, 4), 0, 9)
    assert len(run.device.queue) == 1
    reader = run.close()
    assert reader.index()["rows"].tolist() == [2] * 9 + [100]


def test_the_order_holds_with_records_that_are_on_the_cpu(run: Run) -> None:
    direct = run.store.tensor(
        phase="train", node="Data", role="default", field="sample_id", dtype="int64", shape=()
    )
    for batch in range(10):
        assert direct.record(np.arange(2), 0, batch) == 2 * batch + 1
        assert run.channel.record(rows(batch), 0, batch) == 2 * batch + 2
    assert run.close().index()["sequence"].tolist() == list(range(2, 21, 2))


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "float16", "bfloat16", "float8_e5m2", "complex64"]
)
def test_item_types(tmp_path: Path, dtype: str) -> None:
    run = Run(tmp_path / "records", dtype)
    kind: torch.dtype = getattr(torch, dtype)
    values = torch.arange(8).reshape(2, 4).to(kind)
    run.channel.record(values, 0, 0)
    read = torch.from_numpy(run.close().get(0, 0).copy()).view(kind)
    assert torch.equal(read, values)


def test_no_rows(run: Run) -> None:
    assert run.channel.record(torch.empty(0, 4), 0, 0) == 1
    assert run.device.pins == 0
    assert run.close().index()["rows"].tolist() == [0]


def test_what_does_not_fit_is_refused_and_takes_no_place(run: Run) -> None:
    with pytest.raises(TypeError, match="the tensor is `float64`; the channel holds `float32`"):
        run.channel.record(torch.zeros(2, 4, dtype=torch.float64), 0, 0)
    for shape in ((2, 5), (4,), ()):
        with pytest.raises(ValueError, match=r"shape \(.*\); the channel holds \(rows, 4\)"):
            run.channel.record(torch.zeros(shape), 0, 0)
    assert run.channel.record(rows(1), 0, 0) == 1
    assert run.close().batches == 1


def test_nothing_is_let_go_before_its_copy_ended(run: Run) -> None:
    for batch in range(3):
        run.channel.record(rows(batch), 0, batch)
    queued = list(run.device.queue)
    run.store.close()
    with pytest.raises(StoreError, match="is closed"):
        run.copies.close()
    assert all(copy.done for copy in queued)
    assert run.device.pinned == {}


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "complex64"])
def test_cuda(tmp_path: Path, dtype: str) -> None:
    kind: torch.dtype = getattr(torch, dtype)
    store = Store.create(str(tmp_path / "records"), run_id="run", durability="process")
    channel = store.tensor(
        phase="train", node="MLP", role="default", field="outputs", dtype=dtype, shape=(1000,)
    )
    copies = Copies(Cuda())
    record = DeviceChannel(channel, copies, dtype=dtype, shape=(1000,)).record
    generator = torch.Generator("cuda").manual_seed(1)
    expected = []
    values = torch.zeros(64, 1000, device="cuda", dtype=kind)
    for batch in range(200):
        # Work that is not done when the tensor is recorded, and a change that comes behind it.
        noise = torch.rand(64, 1000, device="cuda", generator=generator)
        torch.mm(noise, noise.T)
        values.copy_(noise > 0.5 if kind is torch.bool else noise)
        record(values, 0, batch)
        expected.append(values.clone())
        values.zero_()
    copies.finish()
    assert store.sync() == 200
    reader = StoreReader.open(str(tmp_path / "records")).tensors()[0]
    for batch, tensor in enumerate(expected):
        read = torch.from_numpy(reader.get(0, batch).copy()).view(kind)
        assert torch.equal(read, tensor.cpu()), f"batch {batch}"
    copies.close()
    store.close()


@pytest.mark.gpu
def test_cuda_does_not_wait_for_the_device(tmp_path: Path) -> None:
    store = Store.create(str(tmp_path / "records"), run_id="run")
    channel = store.tensor(
        phase="train", node="MLP", role="default", field="outputs", dtype="float32", shape=(1000,)
    )
    copies = Copies(Cuda())
    record = DeviceChannel(channel, copies, dtype="float32", shape=(1000,)).record
    values = torch.ones(64, 1000, device="cuda")
    record(values, 0, 0)
    copies.finish()
    store.sync()
    torch.cuda._sleep(1 << 31)
    before = torch.cuda.Event()
    before.record()
    record(values, 0, 1)
    assert not before.query(), (
        "the call came back while the device was still at work before the copy"
    )
    copies.close()
    store.close()
