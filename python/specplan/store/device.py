"""Recording of tensors on a device: the copy runs beside the computation, and nothing waits for it.

A tensor on the CPU is copied by the call that records it. A tensor on a CUDA device is the result of
work that may not have begun; to wait for it would stop the pipeline at every record. Here the record
takes its place in the order at once, as a slot of the store, and an asynchronous copy into the pages of
the slot is queued behind that work. The slot is committed by the next call that finds its copy done.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import torch

from specplan.store.torch_memory import as_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan._native import Slot, TensorChannel

MOST_WAITING_BYTES = 16 << 20
"""Bytes of copies that may be under way. The store's staging memory must hold them, and all records behind them."""


class Event(Protocol):
    """Something that happens on a device."""

    def query(self) -> bool:
        """Whether it has happened."""

    def synchronize(self) -> None:
        """Wait until it has happened."""


class Device(Protocol):
    """Where tensors are, and how their bytes get into pages of the main memory."""

    def pin(self, address: int, size: int) -> None:
        """Keep pages where they are, so that copies into them need nobody to wait."""

    def unpin(self, address: int) -> None:
        """Let go of pages that were pinned."""

    def copy(self, tensor: torch.Tensor, pages: NDArray[Any]) -> Event:
        """Queue a copy behind the work whose result the tensor is; the event says that it is done."""


class Cuda:
    """The current CUDA device and, at each copy, its current stream."""

    def __init__(self) -> None:
        self._runtime: Any = torch.cuda.cudart()

    def pin(self, address: int, size: int) -> None:
        torch.cuda.check_error(int(self._runtime.cudaHostRegister(address, size, 0)))

    def unpin(self, address: int) -> None:
        torch.cuda.check_error(int(self._runtime.cudaHostUnregister(address)))

    def copy(self, tensor: torch.Tensor, pages: NDArray[Any]) -> Event:
        with torch.cuda.device(tensor.device):
            stream = torch.cuda.current_stream()
            # The value is that at the call: what the loop does with the tensor next comes behind the copy
            # on the stream, and its memory is not given away before.
            tensor.record_stream(stream)
            as_tensor(pages, tensor.dtype).copy_(tensor.detach(), non_blocking=True)
            event = torch.cuda.Event()
            event.record(stream)
        return event


class _Waiting(msgspec.Struct, frozen=True):
    slot: Slot
    event: Event
    size: int


class Copies:
    """The copies of one run that are under way, in the order of the records.

    Every method may be called from any thread.
    """

    def __init__(self, device: Device, *, most_waiting_bytes: int = MOST_WAITING_BYTES) -> None:
        self._device = device
        self._most_bytes = most_waiting_bytes
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        # The store keeps the pages of its slots until it is gone, and uses them again and again.
        self._pinned: dict[int, int] = {}
        self._lock = threading.Lock()

    def begin(self, channel: TensorChannel, tensor: torch.Tensor, epoch: int, batch: int) -> int:
        """Give a tensor its place in the order and queue its copy; returns its sequence number."""
        size = tensor.nbytes
        with self._lock:
            while self._waiting and (
                self._bytes + size > self._most_bytes or self._waiting[0].event.query()
            ):
                self._commit_first()
            slot = channel.acquire(len(tensor), epoch, batch)
            if size == 0:
                return slot.commit()
            self._pin(slot)
            event = self._device.copy(tensor, slot.array)
            self._waiting.append(_Waiting(slot, event, size))
            self._bytes += size
            return slot.sequence

    def finish(self) -> None:
        """Wait for every copy and commit its slot."""
        with self._lock:
            while self._waiting:
                self._commit_first()

    def close(self) -> None:
        """Finish, and let go of the pages. The store has to be there still."""
        try:
            self.finish()
        finally:
            with self._lock:
                # A store that refused one has to keep the pages of the others until nothing writes to them.
                for waiting in self._waiting:
                    waiting.event.synchronize()
                self._waiting.clear()
                while self._pinned:
                    self._device.unpin(self._pinned.popitem()[0])

    def _commit_first(self) -> None:
        waiting = self._waiting[0]
        waiting.event.synchronize()
        self._waiting.popleft()
        self._bytes -= waiting.size
        waiting.slot.commit()

    def _pin(self, slot: Slot) -> None:
        if self._pinned.get(slot.address) != slot.capacity:
            self._device.pin(slot.address, slot.capacity)
            self._pinned[slot.address] = slot.capacity


class DeviceChannel:
    """A channel whose values are on a device; `record` is used as that of a `TensorChannel`."""

    def __init__(
        self, channel: TensorChannel, copies: Copies, *, dtype: str, shape: tuple[int, ...]
    ) -> None:
        self._channel = channel
        self._copies = copies
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._shape = shape

    def record(self, tensor: torch.Tensor, epoch: int, batch: int) -> int:
        """Record the value that the tensor has on its stream now; returns its sequence number.

        Raises:
            TypeError: the item type is not the channel's.
            ValueError: the shape is not the channel's.
            StoreError: an earlier write failed.
        """
        if tensor.dtype != self._dtype:
            found, expected = (
                str(dtype).removeprefix("torch.") for dtype in (tensor.dtype, self._dtype)
            )
            raise TypeError(f"the tensor is `{found}`; the channel holds `{expected}`")
        if tensor.shape[1:] != self._shape or not tensor.shape:
            expected = ", ".join(["rows", *map(str, self._shape)])
            raise ValueError(
                f"the tensor has shape {tuple(tensor.shape)}; the channel holds ({expected})"
            )
        return self._copies.begin(self._channel, tensor, epoch, batch)
