"""A process that writes rows of different lengths until it is done or killed."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from specplan._native import RaggedChannel, Store, StoreReader, TextChannel
from tests.store.records import create, ragged_channel, same_arrays, text_channel

ROOT = Path(__file__).parents[2]


def arrays_of(batch: int) -> list[np.ndarray]:
    """None in some batches, empty ones in others, and a large one now and then."""
    generator = np.random.default_rng(batch)
    most = 300 if batch % 50 == 7 else 6
    shapes = generator.integers(0, most, (batch % 5, 2))
    return [generator.random(tuple(shape), np.float32) for shape in shapes]


def texts_of(batch: int) -> list[str]:
    return [f"{batch} ü{'y' * (row * batch % 400)}" if row else "" for row in range(batch % 4)]


def documents_of(batch: int) -> list[str]:
    return [json.dumps({"batch": batch, "names": texts_of(batch)})]


def open_channels(store: Store) -> tuple[RaggedChannel, TextChannel, TextChannel]:
    return (
        ragged_channel(store),
        text_channel(store),
        text_channel(store, "documents", json=True),
    )


def write(store: Store, batches: int) -> None:
    boxes, names, documents = open_channels(store)
    for batch in range(batches):
        boxes.record(arrays_of(batch), batch // 100, batch % 100)
        names.record(texts_of(batch), batch // 100, batch % 100)
        documents.record(documents_of(batch), batch // 100, batch % 100)


def check_prefix(path: Path) -> int:
    """Everything at or below the watermark is there, in order, bit for bit; returns the watermark."""
    reader = StoreReader.open(str(path))
    (boxes,), (names, documents) = reader.ragged(), reader.texts()
    batches = [boxes.batches, names.batches, documents.batches]
    assert batches == [(reader.watermark + later) // 3 for later in (2, 1, 0)]
    for batch in range(boxes.batches):
        assert same_arrays(boxes.get(batch // 100, batch % 100), arrays_of(batch))
    for batch in range(names.batches):
        assert names.get(batch // 100, batch % 100) == texts_of(batch)
    for batch in range(documents.batches):
        assert documents.at(batch) == documents_of(batch)
    return reader.watermark


def start_writer(path: Path, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store.varied_writer", str(path), str(batches)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert writer.stdout is not None
    with writer.stdout as answers:
        assert answers.readline() == "ready\n"
    return writer


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, 9)  # it ends with its parent
    growing = create(Path(sys.argv[1]), flush_milliseconds=2)
    open_channels(growing)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    write(growing, int(sys.argv[2]))
    growing.close()
