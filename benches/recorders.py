"""The ways to keep a batch of every step that `record.py` compares: ours, the limits, and what a user would pick."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from specplan._native import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Open = Callable[[Path, Array, int], "Recorder"]


def _nothing() -> None:
    pass


class Recorder(NamedTuple):
    """One open contender.

    Attributes:
        record: takes a batch, its epoch and its number.
        written: returns when everything is in files, so that another process can read it.
        close: returns when the file is closed; ours and "fdatasync" are on the disk then.
    """

    record: Callable[[Array, int, int], object]
    written: Callable[[], object] = _nothing
    close: Callable[[], object] = _nothing


# ---- limits -------------------------------------------------------------------------------------


def empty(_folder: Path, _sample: Array, _count: int) -> Recorder:
    """A call of a Python function: what the clock and the loop cost."""

    def record(_batch: Array, _epoch: int, _number: int) -> None:
        pass

    return Recorder(record)


def memcpy(_folder: Path, sample: Array, _count: int) -> Recorder:
    """Into one buffer again and again: hot as far as it fits into the cache."""
    buffer = np.zeros_like(sample)
    copy = np.copyto

    def record(batch: Array, _epoch: int, _number: int) -> None:
        copy(buffer, batch)

    return Recorder(record)


def in_memory(_folder: Path, _sample: Array, _count: int) -> Recorder:
    """A list of copies, lost when the process ends."""
    kept: list[tuple[Array, int, int]] = []

    def record(batch: Array, epoch: int, number: int) -> None:
        kept.append((batch.copy(), epoch, number))

    return Recorder(record, close=kept.clear)


def write(folder: Path, _sample: Array, _count: int) -> Recorder:
    """The bytes alone through write(2)."""
    descriptor = os.open(folder / "raw.bin", os.O_CREAT | os.O_WRONLY)

    def record(batch: Array, _epoch: int, _number: int) -> None:
        os.write(descriptor, batch.data)

    return Recorder(record, close=lambda: os.close(descriptor))


def write_durably(folder: Path, sample: Array, count: int) -> Recorder:
    """write(2), and fdatasync(2) at the end: what closing a store of ours does."""
    descriptor = os.open(folder / "raw.bin", os.O_CREAT | os.O_WRONLY)

    def record(batch: Array, _epoch: int, _number: int) -> None:
        os.write(descriptor, batch.data)

    def close() -> None:
        os.fdatasync(descriptor)
        os.close(descriptor)

    return Recorder(record, close=close)


def writev(folder: Path, sample: Array, count: int) -> Recorder:
    """Bytes, and the epoch and number of every row, through writev(2) into a file with room."""
    descriptor = os.open(folder / "raw.bin", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(descriptor, 0, (sample.nbytes + 8 * len(sample)) * count)
    epochs, numbers = np.zeros(len(sample), np.int32), np.zeros(len(sample), np.int32)

    def record(batch: Array, epoch: int, number: int) -> None:
        epochs.fill(epoch)
        numbers.fill(number)
        os.writev(descriptor, [batch.data, epochs.data, numbers.data])

    return Recorder(record, close=lambda: os.close(descriptor))


# ---- ours ---------------------------------------------------------------------------------------


def _specplan(
    folder: Path, sample: Array, durability: Literal["process", "periodic", "disk"]
) -> Recorder:
    store = Store.create(str(folder / "records"), run_id="bench", durability=durability)
    channel = store.tensor(
        phase="train", node="MLP", role="default", field="outputs",
        dtype="float32", shape=sample.shape[1:],
    )  # fmt: skip
    return Recorder(channel.record, written=store.sync, close=store.close)


def specplan(folder: Path, sample: Array, _count: int) -> Recorder:
    """A channel of a store at the default level of durability: on the disk when it is closed."""
    return _specplan(folder, sample, "process")


def specplan_disk(folder: Path, sample: Array, _count: int) -> Recorder:
    """A channel of a store that is on the disk after each round of the drainer."""
    return _specplan(folder, sample, "disk")


# ---- what a user would pick ---------------------------------------------------------------------


def np_save(folder: Path, _sample: Array, _count: int) -> Recorder:
    """np.save after np.save into one open file."""
    file = (folder / "batches.npy").open("wb")

    def record(batch: Array, _epoch: int, _number: int) -> None:
        np.save(file, batch)

    return Recorder(record, written=file.flush, close=file.close)


def memmap(folder: Path, sample: Array, count: int) -> Recorder:
    """A mapped file of the full length."""
    mapped = np.memmap(folder / "rows.bin", sample.dtype, "w+", shape=(count, *sample.shape))

    def record(batch: Array, _epoch: int, number: int) -> None:
        mapped[number] = batch

    return Recorder(record)


def _arrow_batches(sample: Array) -> tuple[Any, Callable[[Array, int, int], Any]]:
    """The schema of the rows as a FixedSizeList with their keys, and a function that makes a record batch."""
    import pyarrow as pa

    rows, width = sample.shape
    schema = pa.schema(
        [("value", pa.list_(pa.float32(), width)), ("epoch", pa.int32()), ("batch", pa.int32())]
    )

    def make(batch: Array, epoch: int, number: int) -> Any:
        column = pa.FixedSizeListArray.from_arrays(batch.reshape(-1), width)
        epochs = pa.array(np.full(rows, epoch, np.int32))
        numbers = pa.array(np.full(rows, number, np.int32))
        return pa.RecordBatch.from_arrays([column, epochs, numbers], schema=schema)

    return schema, make


def _arrow(folder: Path, sample: Array, *, footer: bool) -> Recorder:
    import pyarrow as pa

    schema, make = _arrow_batches(sample)
    sink = pa.OSFile(str(folder / "batches.arrow"), "wb")
    writer = (pa.ipc.new_file if footer else pa.ipc.new_stream)(sink, schema)

    def record(batch: Array, epoch: int, number: int) -> None:
        writer.write_batch(make(batch, epoch, number))

    def close() -> None:
        writer.close()
        sink.close()

    return Recorder(record, close=close)


def arrow_stream(folder: Path, sample: Array, _count: int) -> Recorder:
    """pyarrow's stream writer."""
    return _arrow(folder, sample, footer=False)


def arrow_file(folder: Path, sample: Array, _count: int) -> Recorder:
    """pyarrow's file writer."""
    return _arrow(folder, sample, footer=True)


def parquet(folder: Path, sample: Array, _count: int) -> Recorder:
    """pyarrow's Parquet writer, zstd, a row group for each batch."""
    import pyarrow.parquet as pq

    schema, make = _arrow_batches(sample)
    writer = pq.ParquetWriter(folder / "rows.parquet", schema, compression="zstd")

    def record(batch: Array, epoch: int, number: int) -> None:
        writer.write_batch(make(batch, epoch, number))

    return Recorder(record, close=writer.close)


def h5py_append(folder: Path, sample: Array, _count: int) -> Recorder:
    """A dataset that grows by a batch: resize, then assign."""
    import h5py

    file = h5py.File(folder / "rows.h5", "w")
    rows, width = sample.shape
    dataset = file.create_dataset(
        "rows", shape=(0, width), maxshape=(None, width), chunks=(rows, width), dtype="f4"
    )

    def record(batch: Array, _epoch: int, number: int) -> None:
        dataset.resize((number + 1) * rows, axis=0)
        dataset[number * rows :] = batch

    return Recorder(record, written=file.flush, close=file.close)


def h5py_chunks(folder: Path, sample: Array, count: int) -> Recorder:
    """write_direct_chunk into a dataset of the full length: the quickest way that HDF5 has."""
    import h5py

    file = h5py.File(folder / "rows.h5", "w")
    rows, width = sample.shape
    dataset = file.create_dataset(
        "rows", shape=(count * rows, width), chunks=(rows, width), dtype="f4"
    )
    write_chunk = dataset.id.write_direct_chunk

    def record(batch: Array, _epoch: int, number: int) -> None:
        write_chunk((number * rows, 0), batch)

    return Recorder(record, written=file.flush, close=file.close)


def zarr_append(folder: Path, sample: Array, _count: int) -> Recorder:
    """An array that grows by a batch, one chunk each, not compressed."""
    import zarr

    rows, width = sample.shape
    array = zarr.create_array(
        folder / "rows.zarr", shape=(0, width), chunks=(rows, width), dtype="f4", compressors=None
    )

    def record(batch: Array, _epoch: int, _number: int) -> None:
        array.append(batch)

    return Recorder(record)


def tensorstore(folder: Path, sample: Array, count: int) -> Recorder:
    """zarr 3 written by tensorstore into an array of the full length; `write` is waited for at the end."""
    import tensorstore as ts

    rows, width = sample.shape
    grid = {"name": "regular", "configuration": {"chunk_shape": [rows, width]}}
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": str(folder / "rows.zarr")},
        "metadata": {"shape": [count * rows, width], "chunk_grid": grid, "data_type": "float32"},
        "create": True,
    }
    dataset = ts.open(spec).result()
    pending: list[Any] = []

    def record(batch: Array, _epoch: int, number: int) -> None:
        writing = dataset[number * rows : (number + 1) * rows].write(batch)
        writing.copy.result()  # before that it still reads the batch
        pending.append(writing)

    def close() -> None:
        for each in pending:
            each.result()

    return Recorder(record, close=close)


def safetensors(folder: Path, _sample: Array, _count: int) -> Recorder:
    """A file for each batch."""
    from safetensors.numpy import save_file

    def record(batch: Array, epoch: int, number: int) -> None:
        save_file({"outputs": batch}, folder / f"{epoch}-{number}.safetensors")

    return Recorder(record)


def torch_save(folder: Path, sample: Array, _count: int) -> Recorder:
    """A file for each batch."""
    import torch

    def record(batch: Array, epoch: int, number: int) -> None:
        torch.save(torch.from_numpy(batch), folder / f"{epoch}-{number}.pt")

    return Recorder(record)


def lmdb(folder: Path, sample: Array, count: int) -> Recorder:
    """A key for each batch, one transaction."""
    import lmdb

    room = 2 * sample.nbytes * count + (64 << 20)
    environment = lmdb.open(str(folder / "lmdb"), map_size=room, sync=False)
    transaction = environment.begin(write=True)

    def record(batch: Array, epoch: int, number: int) -> None:
        transaction.put(b"%08d-%08d" % (epoch, number), batch.data, append=True)

    def close() -> None:
        transaction.commit()
        environment.close()

    return Recorder(record, close=close)


def lance(folder: Path, sample: Array, _count: int) -> Recorder:
    """lance's file writer."""
    from lance.file import LanceFileWriter

    schema, make = _arrow_batches(sample)
    writer = LanceFileWriter(str(folder / "rows.lance"), schema)

    def record(batch: Array, epoch: int, number: int) -> None:
        writer.write_batch(make(batch, epoch, number))

    return Recorder(record, close=writer.close)


OURS = "**specplan record()**"
COPIES = "copies kept in RAM"
WRITE = "write()"
WRITEV = "writev(), with keys, fallocated"
DURABLE = "write(), then fdatasync()"
STREAM = "pyarrow IPC stream"
FILE = "pyarrow IPC file"
EMPTY = "limit: an empty call"

RECORDERS: dict[str, tuple[Open, str | None]] = {
    EMPTY: (empty, None),
    "limit: memcpy into one buffer": (memcpy, None),
    OURS: (specplan, None),
    "**specplan, durability disk**": (specplan_disk, None),
    COPIES: (in_memory, None),
    WRITE: (write, None),
    WRITEV: (writev, None),
    DURABLE: (write_durably, None),
    "np.save into one file": (np_save, None),
    STREAM: (arrow_stream, None),
    FILE: (arrow_file, None),
    "Parquet zstd (pyarrow)": (parquet, None),
    "np.memmap": (memmap, None),
    "torch.save, a file a batch": (torch_save, None),
    "safetensors, a file a batch": (safetensors, "safetensors"),
    "h5py, direct chunks": (h5py_chunks, "h5py"),
    "h5py, append": (h5py_append, "h5py"),
    "LMDB": (lmdb, "lmdb"),
    "zarr 3, append": (zarr_append, "zarr"),
    "zarr 3 by tensorstore": (tensorstore, "tensorstore"),
    "lance file": (lance, "lance"),
}
