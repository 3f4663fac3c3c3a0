"""Write the golden stores, and what is recorded in them, anew: `python -m tests.golden.stores.make`.

A later version must read what this one has written. So the stores are made once for each change of
the format, before a release, and never again after it.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan._native import Store
from tests.store.reference_reader import read_description

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent
DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
    *("datetime64[ns]", "timedelta64[ns]"),
)
OF_TORCH = {
    "bfloat16": "int16",
    "complex32": "int32",
    "float8_e4m3fn": "uint8",
    "float8_e5m2": "uint8",
}
"""Types that numpy lacks, and one of the same size."""
LONG = "a label that is longer than twelve bytes"


class Recording:
    """A store, and what a reader must find in it."""

    def __init__(self, store: Store, expected: dict[str, Any] | None = None) -> None:
        self.store = store
        self.expected = expected or {"closed": False, "dropped": 0, "channels": [], "metrics": []}
        self.last = 0

    def tensor(self, dtype: str, shape: tuple[int, ...], **labels: str) -> Callable[..., None]:
        key = labelled(labels)
        channel = self.store.tensor(**key, dtype=dtype, shape=shape)
        batches = self._batches({**key, "kind": "tensor", "dtype": dtype, "shape": list(shape)})

        def record(rows: Any, epoch: int, batch: int, bits: np.ndarray | None = None) -> None:
            self.last = channel.record(rows, epoch, batch)
            payload = (rows if bits is None else bits).tobytes()
            batches.append(self._batch(epoch, batch, len(rows), payload))

        return record

    def ragged(self, dtype: str, dimensions: int, **labels: str) -> Callable[..., None]:
        key = labelled(labels)
        channel = self.store.ragged(**key, dtype=dtype, dimensions=dimensions)
        shape = [None] * dimensions
        batches = self._batches({**key, "kind": "ragged", "dtype": dtype, "shape": shape})

        def record(arrays: Sequence[np.ndarray], epoch: int, batch: int) -> None:
            self.last = channel.record(arrays, epoch, batch)
            batches.append(self._batch(epoch, batch, len(arrays), ragged_payload(arrays)))

        return record

    def text(self, *, is_json: bool, **labels: str) -> Callable[..., None]:
        key = labelled(labels)
        channel = self.store.text(**key, json=is_json)
        dtype = "json" if is_json else "string"
        batches = self._batches({**key, "kind": "text", "dtype": dtype, "shape": []})

        def record(texts: Sequence[str], epoch: int, batch: int) -> None:
            self.last = channel.record(texts, epoch, batch)
            batches.append(self._batch(epoch, batch, len(texts), text_payload(texts)))

        return record

    def metrics(self, *series: tuple[str, str | None, str | None, str]) -> Callable[..., None]:
        group = self.store.metrics(series)

        def log(values: Sequence[float], epoch: int, batch: int, step: int) -> None:
            self.last = group.log(np.array(values), epoch, batch, step)
            for (phase, node, split, name), value in zip(series, values, strict=True):
                labels = [phase, split or "", node or "", name]
                bits = struct.pack("<d", value).hex()
                self.expected["metrics"].append([self.last, step, epoch, batch, labels, bits])

        return log

    def forget_after(self, sequence: int) -> None:
        """What a rewind hides."""
        for channel in self.expected["channels"]:
            channel["batches"] = [entry for entry in channel["batches"] if entry[0] <= sequence]
        metrics = self.expected["metrics"]
        self.expected["metrics"] = [entry for entry in metrics if entry[0] <= sequence]

    def end(self, *, closed: bool) -> dict[str, Any]:
        if closed:
            self.store.close()
        self.expected["closed"] = closed
        self.expected["watermark"] = self.last
        return self.expected

    def _batches(self, description: dict[str, Any]) -> list[Any]:
        for channel in self.expected["channels"]:
            if {**channel, "batches": 0} == {**description, "batches": 0}:
                known: list[Any] = channel["batches"]
                return known
        batches: list[Any] = []
        self.expected["channels"].append({**description, "batches": batches})
        return batches

    def _batch(self, epoch: int, batch: int, rows: int, payload: bytes) -> list[int]:
        return [self.last, epoch, batch, rows, zlib.crc32(payload)]


def labelled(labels: dict[str, str]) -> dict[str, str]:
    return {"phase": "train", "node": "Net", "role": "default", "field": "outputs", **labels}


def ragged_payload(arrays: Sequence[np.ndarray]) -> bytes:
    shapes = b"".join(struct.pack(f"<{array.ndim}i", *array.shape) for array in arrays)
    return shapes + b"".join(array.tobytes() for array in arrays)


def text_payload(texts: Sequence[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return struct.pack(f"<{len(encoded)}I", *map(len, encoded)) + b"".join(encoded)


def create(folder: Path, **options: Any) -> Recording:
    return Recording(Store.create(str(folder), run_id="golden", **options))


def rows_of(dtype: str, shape: tuple[int, ...], rows: int, seed: int) -> np.ndarray:
    numbers = np.arange(rows * int(np.prod(shape)), dtype=np.uint64) * 37 + seed
    return (numbers % 101).astype(dtype).reshape(rows, *shape)


def tensors(folder: Path) -> Recording:
    """Every dtype, rows of every kind of shape, keys in and out of order, batches without rows."""
    import torch

    recording = create(folder)
    for dtype in DTYPES:
        for shape in ((), (3,), (2, 2)):
            field = f"{dtype} {list(shape)}"
            record = recording.tensor(dtype, shape, field=field)
            for batch, rows in enumerate((2, 0, 5)):
                record(rows_of(dtype, shape, rows, batch), 0, batch)
    for dtype, stored in OF_TORCH.items():
        bits = rows_of(stored, (2,), 3, 5)
        tensor = torch.from_numpy(bits).view(getattr(torch, dtype)).reshape(3, -1)
        recording.tensor(dtype, tuple(tensor.shape[1:]), field=dtype)(tensor, 0, 0, bits)
    record = recording.tensor("int32", (), node="a/b.ü", field="n" * 250)
    for batch in (3, 1, 2, 1):
        record(rows_of("int32", (), 4, batch), 1, batch)
    recording.tensor("float32", (0,), field="empty rows")(np.zeros((3, 0), np.float32), 0, 0)
    recording.tensor("float32", (4,), field="never recorded")
    return recording


def values(folder: Path) -> Recording:
    """Ragged arrays, texts and metrics."""
    recording = create(folder)
    boxes = recording.ragged("float32", 2, field="boxes")
    boxes([rows_of("float32", (4,), rows, rows) for rows in (2, 0, 3)], 0, 0)
    boxes([], 0, 1)
    boxes([rows_of("float32", (4,), 1, 9)], 0, 2)
    recording.ragged("bool", 1, field="masks")([np.array([True, False]), np.array([], bool)], 0, 0)
    recording.text(is_json=False, field="names")(["", "ümlaut", "x" * 300, "\0"], 0, 0)
    recording.text(is_json=True, field="notes")(['{"a": [1, 2.5, null]}', "[]"], 0, 0)
    log = recording.metrics(("train", None, None, "loss"), ("train", LONG, "test", LONG))
    for step, value in enumerate((1.0, -0.0, float("nan"), float("inf"), 5e-324)):
        log([value, step / 3], 0, step, step)
    recording.metrics(("", "", "", ""))([0.5], -1, -1, 0)
    return recording


def continued(folder: Path) -> Recording:
    """Three sessions: the second goes back, the third goes on."""
    recording = some_of_each(create(folder), 0, 12)
    recording.store.sync()
    rewind = recording.expected["metrics"][7][0]
    recording.store.close()
    for session, rewind_to in ((2, rewind), (3, None)):
        if rewind_to is not None:
            recording.forget_after(rewind_to)
        store = Store.open(str(folder), session=session, rewind_to=rewind_to)
        recording = some_of_each(Recording(store, recording.expected), 6 * session, 7)
        store.close()
    return recording


def some_of_each(recording: Recording, first: int, batches: int) -> Recording:
    outputs = recording.tensor("float32", (3,))
    sizes = recording.ragged("int64", 1, field="sizes")
    names = recording.text(is_json=False, field="names")
    log = recording.metrics(("train", "Net", None, "loss"))
    for batch in range(first, first + batches):
        outputs(rows_of("float32", (3,), 1 + batch % 3, batch), 0, batch)
        sizes([rows_of("int64", (), rows, batch) for rows in range(batch % 3)], 0, batch)
        names([f"batch {batch}"], 0, batch)
        log([batch / 7], 0, batch, batch)
    return recording


def gaps(folder: Path) -> Recording:
    """Numbers that were taken and given up."""
    recording = create(folder)
    outputs = recording.tensor("float32", (3,))
    channel = recording.store.tensor(**labelled({}), dtype="float32", shape=(3,))
    for batch in range(9):
        if batch % 3 == 1:
            del_slot(channel.acquire(2, 0, 100 + batch))
        outputs(rows_of("float32", (3,), 2, batch), 0, batch)
    return recording


def del_slot(slot: object) -> None:
    """A slot that nobody holds is given up."""
    del slot


def nothing(folder: Path) -> Recording:
    """A run that recorded nothing."""
    return create(folder)


def killed(folder: Path) -> Recording:
    """A writer that was killed."""
    recording = some_of_each(create(folder), 0, 6)
    recording.store.sync()
    return recording


STORES: dict[str, Callable[[Path], Recording]] = {
    "tensors": tensors,
    "values": values,
    "continued": continued,
    "gaps": gaps,
    "nothing": nothing,
    "killed": killed,
}


def make(name: str, parent: Path) -> None:
    """Write one store in a process of its own, which may be killed for it."""
    folder = parent / name
    if folder.exists():
        shutil.rmtree(folder)
    program = f"from tests.golden.stores.make import write; write({name!r}, {str(folder)!r})"
    finished = subprocess.run([sys.executable, "-c", program], check=False, cwd=HERE.parents[2])
    if finished.returncode != (-signal.SIGKILL if name == "killed" else 0):
        raise SystemExit(f"{name}: {finished.returncode}")
    (folder / ".lock").unlink()
    name_no_machine(folder / "store.json")
    pack(folder)


def write(name: str, path: str) -> None:
    """Write a store and what is in it."""
    folder = Path(path)
    recording = STORES[name](folder)
    expected = recording.end(closed=name != "killed")
    # A line for each channel and each metric.
    text = re.sub(r"\n {3,}", " ", json.dumps(expected, indent=1, ensure_ascii=False))
    folder.with_suffix(".json").write_text(text + "\n")
    if not expected["closed"]:
        signal.raise_signal(signal.SIGKILL)


def name_no_machine(path: Path) -> None:
    """Replace what names the machine that wrote a store."""
    description = read_description(path)
    del description["crc32"]
    for session in description["sessions"]:
        session.update(process=1, host="golden", boot_id="")
    text = json.dumps(description, indent=2, ensure_ascii=False).removesuffix("\n}")
    path.write_text(f'{text},\n  "crc32": {zlib.crc32(text.encode())}\n}}\n')


def pack(folder: Path) -> None:
    """Files begin at pages and grow into holes: most of a small store is zeros."""
    with zipfile.ZipFile(
        folder.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9
    ) as archive:
        for path in sorted(folder.rglob("*")):
            name = zipfile.ZipInfo(str(path.relative_to(folder)) + "/" * path.is_dir())
            name.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(name, b"" if path.is_dir() else path.read_bytes())
    shutil.rmtree(folder)


if __name__ == "__main__":
    for store in STORES:
        make(store, HERE)
