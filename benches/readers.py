"""The files that `read.py` compares: how each is written from the same batches, and opened again."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from specplan._native import Store, StoreReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

ROWS, WIDTH = 512, 128
"""A batch: 256 KiB of float32."""


def batch(number: int) -> Array:
    """Noise: a codec gains nothing, and no two batches are equal."""
    return np.random.default_rng(number).standard_normal((ROWS, WIDTH), np.float32)


class View(NamedTuple):
    """An open file.

    Attributes:
        get: a batch by its number, usable as a numpy array.
        scan: all rows in order, in the pieces that are natural to the file.
        held: what has to stay open.
    """

    get: Callable[[int], Array]
    scan: Callable[[], Iterable[Array]]
    held: Any = None


class Format(NamedTuple):
    """How to write `count` batches into a folder and how to open what is there."""

    write: Callable[[Path, int], None]
    open: Callable[[Path, int], View]
    needs: str | None = None


def _by_get(get: Callable[[int], Array], count: int, held: Any = None) -> View:
    return View(get, lambda: map(get, range(count)), held)


# ---- ours ---------------------------------------------------------------------------------------


def write_store(folder: Path, count: int, make: Callable[[int], Array] = batch) -> None:
    """A store with one channel."""
    store = Store.create(str(folder / "records"), run_id="bench")
    first = make(0)
    channel = store.tensor(
        phase="train", node="MLP", role="default", field="outputs",
        dtype="float32", shape=first.shape[1:],
    )  # fmt: skip
    for number in range(count):
        channel.record(make(number), 0, number)
    store.close()


def open_store(folder: Path, _count: int) -> View:
    """As a user opens it: a batch is compared with its checksum when it is read first."""
    channel = StoreReader.open(str(folder / "records")).tensors()[0]
    return View(lambda number: channel.get(0, number), channel.chunks)


def open_store_unchecked(folder: Path, _count: int) -> View:
    """Without checksums."""
    channel = StoreReader.open(str(folder / "records"), check=False).tensors()[0]
    return View(lambda number: channel.get(0, number), channel.chunks)


# ---- plain memory maps --------------------------------------------------------------------------


def write_raw(folder: Path, count: int) -> None:
    """The bytes of all batches in one file."""
    with (folder / "rows.bin").open("wb") as file:
        for number in range(count):
            file.write(batch(number).data)


def open_memmap(folder: Path, count: int) -> View:
    """np.memmap."""
    rows = np.memmap(folder / "rows.bin", np.float32, "r", shape=(count, ROWS, WIDTH))
    return _by_get(rows.__getitem__, count)


def open_populated(folder: Path, count: int) -> View:
    """A map whose pages are all there before the first access."""
    with (folder / "rows.bin").open("rb") as file:
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        mapped = mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ)
    rows = np.frombuffer(mapped, np.float32).reshape(count, ROWS, WIDTH)
    return _by_get(rows.__getitem__, count, mapped)


# ---- Arrow and Parquet --------------------------------------------------------------------------


def _table(number: int) -> Any:
    import pyarrow as pa

    column = pa.FixedSizeListArray.from_arrays(batch(number).reshape(-1), WIDTH)
    return pa.record_batch([column], names=["value"])


def write_arrow(folder: Path, count: int) -> None:
    """An IPC file, a record batch each."""
    import pyarrow as pa

    with pa.ipc.new_file(str(folder / "rows.arrow"), _table(0).schema) as writer:
        for number in range(count):
            writer.write_batch(_table(number))


def open_arrow(folder: Path, count: int) -> View:
    """The IPC file through a map."""
    import pyarrow as pa

    source = pa.memory_map(str(folder / "rows.arrow"))
    reader = pa.ipc.open_file(source)

    def get(number: int) -> Array:
        values: Array = reader.get_batch(number).column(0).flatten().to_numpy()
        return values.reshape(ROWS, WIDTH)

    return _by_get(get, count, source)


def write_parquet(folder: Path, count: int) -> None:
    """A row group for each batch, not compressed, without a dictionary."""
    import pyarrow.parquet as pq

    schema, path = _table(0).schema, folder / "rows.parquet"
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for number in range(count):
            writer.write_batch(_table(number))


def open_parquet(folder: Path, count: int) -> View:
    """pyarrow's ParquetFile, a row group for each batch."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(folder / "rows.parquet")

    def get(number: int) -> Array:
        column = file.read_row_group(number)["value"].combine_chunks()
        values: Array = column.flatten().to_numpy()
        return values.reshape(ROWS, WIDTH)

    return _by_get(get, count, file)


def open_polars(folder: Path, _count: int) -> View:
    """A slice of a lazy frame for a batch; a scan collects a hundred batches at once."""
    import polars

    frame = polars.scan_parquet(folder / "rows.parquet")
    total = frame.select(polars.len()).collect().item()

    def rows(start: int, length: int) -> Array:
        found: Array = frame.slice(start, length).collect()["value"].to_numpy()
        return found

    step = 100 * ROWS
    return View(
        lambda number: rows(number * ROWS, ROWS),
        lambda: (rows(start, step) for start in range(0, total, step)),
    )


# ---- files for each batch -----------------------------------------------------------------------


def write_npy(folder: Path, count: int) -> None:
    """np.save, a file for each batch."""
    for number in range(count):
        np.save(folder / f"{number}.npy", batch(number))


def open_npy(folder: Path, count: int) -> View:
    """np.load of each."""
    return _by_get(lambda number: np.load(folder / f"{number}.npy"), count)


def write_safetensors(folder: Path, count: int) -> None:
    """A file for each batch."""
    from safetensors.numpy import save_file

    for number in range(count):
        save_file({"outputs": batch(number)}, folder / f"{number}.safetensors")


def open_safetensors(folder: Path, count: int) -> View:
    """safe_open of each."""
    from safetensors import safe_open

    def get(number: int) -> Array:
        with safe_open(folder / f"{number}.safetensors", "np") as file:
            found: Array = file.get_tensor("outputs")
        return found

    return _by_get(get, count)


# ---- array and key-value stores -----------------------------------------------------------------


def _write_h5py(folder: Path, count: int, chunks: tuple[int, int] | None) -> None:
    import h5py

    with h5py.File(folder / "rows.h5", "w") as file:
        rows = file.create_dataset("rows", (count * ROWS, WIDTH), "f4", chunks=chunks)
        for number in range(count):
            rows[number * ROWS : (number + 1) * ROWS] = batch(number)


def write_h5py(folder: Path, count: int) -> None:
    """A contiguous dataset."""
    _write_h5py(folder, count, None)


def write_h5py_chunks(folder: Path, count: int) -> None:
    """A chunk for each batch."""
    _write_h5py(folder, count, (ROWS, WIDTH))


def open_h5py(folder: Path, count: int) -> View:
    """A slice for each batch."""
    import h5py

    rows = h5py.File(folder / "rows.h5")["rows"]
    return _by_get(lambda number: rows[number * ROWS : (number + 1) * ROWS], count)


def write_zarr(folder: Path, count: int) -> None:
    """zarr 3, a chunk for each batch, not compressed."""
    import zarr

    rows = zarr.create_array(
        folder / "rows.zarr",
        shape=(count * ROWS, WIDTH), chunks=(ROWS, WIDTH), dtype="f4", compressors=None,
    )  # fmt: skip
    for number in range(count):
        rows[number * ROWS : (number + 1) * ROWS] = batch(number)


def open_zarr(folder: Path, count: int) -> View:
    """A slice for each batch."""
    import zarr

    rows: Any = zarr.open_array(folder / "rows.zarr", mode="r")
    return _by_get(lambda number: rows[number * ROWS : (number + 1) * ROWS], count)


def open_tensorstore(folder: Path, count: int) -> View:
    """The same zarr array through tensorstore."""
    import tensorstore

    kvstore = {"driver": "file", "path": str(folder / "rows.zarr")}
    rows = tensorstore.open({"driver": "zarr3", "kvstore": kvstore}).result()
    get = lambda number: rows[number * ROWS : (number + 1) * ROWS].read().result()  # noqa: E731
    return _by_get(get, count)


def write_lmdb(folder: Path, count: int) -> None:
    """A key for each batch."""
    import lmdb

    room = 2 * count * ROWS * WIDTH * 4 + (64 << 20)
    with (
        lmdb.open(str(folder / "lmdb"), map_size=room) as store,
        store.begin(write=True) as writing,
    ):
        for number in range(count):
            writing.put(b"%08d" % number, batch(number).data, append=True)


def open_lmdb(folder: Path, count: int) -> View:
    """Buffers into the map."""
    import lmdb

    store = lmdb.open(str(folder / "lmdb"), readonly=True, lock=False)
    reading = store.begin(buffers=True)

    def get(number: int) -> Array:
        return np.frombuffer(reading.get(b"%08d" % number), np.float32).reshape(ROWS, WIDTH)

    return _by_get(get, count, store)


OURS = "**specplan**"
UNCHECKED = "**specplan, check=False**"
MEMMAP = "np.memmap"
POPULATED = "limit: a populated map"

FORMATS: dict[str, Format] = {
    POPULATED: Format(write_raw, open_populated),
    MEMMAP: Format(write_raw, open_memmap),
    OURS: Format(write_store, open_store),
    UNCHECKED: Format(write_store, open_store_unchecked),
    "LMDB": Format(write_lmdb, open_lmdb, "lmdb"),
    "pyarrow IPC, mapped": Format(write_arrow, open_arrow),
    "npy, a file a batch": Format(write_npy, open_npy),
    "safetensors, a file a batch": Format(write_safetensors, open_safetensors, "safetensors"),
    "h5py, contiguous": Format(write_h5py, open_h5py, "h5py"),
    "h5py, a chunk a batch": Format(write_h5py_chunks, open_h5py, "h5py"),
    "zarr 3 by tensorstore": Format(write_zarr, open_tensorstore, "tensorstore"),
    "zarr 3": Format(write_zarr, open_zarr, "zarr"),
    "Parquet, a group a batch: pyarrow": Format(write_parquet, open_parquet),
    "Parquet, a group a batch: polars": Format(write_parquet, open_polars, "polars"),
}
