"""Hostile files: each is refused by name, soon, and without much memory."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from specplan._native import repair_store, verify_store
from tests.store.forged import (
    forge_description,
    forge_superblock,
    forge_watermark,
    forge_word,
    message_places,
    record_offset,
)
from tests.store.records import channel, create
from tests.store.reference_reader import INDEX_COLUMNS, Chunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_SECONDS = 2.0
MOST_EXTRA_BYTES = 256 << 20
HUGE = 1 << 40
CHANNEL = "train.MLP.default.outputs"
VALUES = f"{CHANNEL}/chunk-000000.arrow"
INDEX = f"{CHANNEL}/index-000000.arrow"
METRICS = "metrics/chunk-000000.arrow"
DESCRIPTION = f"{CHANNEL}/channel.json"
ARROW_FILES = (VALUES, INDEX, METRICS)

READ_ALL = """
import json, resource, sys, time
from pathlib import Path
from specplan._native import StoreReader, export_execution, export_metrics
from specplan.errors import StoreError

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key + ":"))

folder = sys.argv[1]
limit = status("VmSize") + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
memory, start, error = status("VmHWM"), time.process_time(), None
try:
    reader = StoreReader.open(folder)
    for tensor in reader.tensors():
        tensor.index()
        tensor.chunks()
        for position in range(tensor.batches):
            tensor.at(position)
    reader.metrics(run_id="r")
    problems = reader.verify()
    if problems:
        raise StoreError(f"{problems[0].path}: {problems[0].message}")
    export_metrics(folder, folder + "/metrics.parquet", run_id="r")
    export_execution(folder, "train", folder + "/execution.parquet", run_id="r")
except StoreError as raised:
    error = str(raised)
print(json.dumps([error, time.process_time() - start, status("VmHWM") - memory]))
"""


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pattern") / "records"
    store = create(folder)
    values = channel(store)
    loss = store.metrics([("train", "a split with a long name", None, "a name of many letters")])
    for batch in range(20):
        values.record(np.full((5, 4), batch, np.float32), 0, batch)
        loss.log(np.array([1.0]), 0, batch, batch)
    store.close()
    return folder


def superblock(path: str, **fields: int) -> Callable[[Path], None]:
    return lambda folder: forge_superblock(folder / path, **fields)


def watermark(hidden: bytes = b"", **fields: int) -> Callable[[Path], None]:
    return lambda folder: forge_watermark(folder / "watermark", hidden, **fields)


def ranges(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def word(
    path: str, place: str, value: int, *, shift: int = 0, kind: str = "<q"
) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        forge_word(folder / path, message_places(folder / path)[place] + shift, value, kind)

    return forge


def size_of_message(path: str, value: int, *, second: bool = False) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        offset = record_offset(folder / path) + 4 if second else 12
        forge_word(folder / path, offset, value, "<I")

    return forge


def content(path: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: void((folder / path).write_bytes(data))


def longer(path: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / path, size)


def sparse(path: str) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        content(path, b"")(folder)
        os.truncate(folder / path, HUGE)

    return forge


def both(*forgeries: Callable[[Path], None]) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        for one in forgeries:
            one(folder)

    return forge


def stretched(path: str) -> Callable[[Path], None]:
    """A body of nearly 1 TiB, all of it a hole, with the footer behind it."""

    def forge(folder: Path) -> None:
        file = folder / path
        chunk = Chunk(file)
        body = HUGE - chunk.body
        places = message_places(file)
        forge_superblock(file, capacity=10**9, rows=10**9)
        forge_word(file, places["body"], body)
        forge_word(file, places["length"], 10**9)
        buffers = struct.unpack_from("<I", chunk.data, places["buffers"])[0]
        for buffer in range(buffers):
            place = places["buffers"] + 4 + 16 * buffer
            if struct.unpack_from("<q", chunk.data, place + 8)[0]:
                forge_word(file, place, 0)
                forge_word(file, place + 8, body)
        ending = bytes(chunk.data[-10:])
        os.truncate(file, HUGE)
        with file.open("ab") as end:
            end.write(ending)

    return forge


def index_row(**fields: int) -> Callable[[Path], None]:
    """Set fields of the index row 7, and its checksum."""

    def forge(folder: Path) -> None:
        file = folder / INDEX
        columns = Chunk(file).columns
        row = {name: columns[name].number(7) for name in INDEX_COLUMNS} | fields
        for name in fields:
            kind = "<" + columns[name].format
            place = columns[name].data[0] + 7 * struct.calcsize(kind)
            with file.open("r+b") as stream:
                stream.seek(place)
                stream.write(struct.pack(kind, row[name]))
        check = zlib.crc32(struct.pack("<QqqiiiI", *row.values()))
        forge_word(file, columns["check"].data[0] + 7 * 4, check, "<I")

    return forge


def description(path: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: forge_description(folder / path, old.encode(), new.encode())


def shape(text: str) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        data = (folder / DESCRIPTION).read_text()
        start = data.index('"shape"')
        forge_description(
            folder / DESCRIPTION, data[start : data.index("]", start) + 1].encode(), text.encode()
        )

    return forge


def label(column: str, view: bytes) -> Callable[[Path], None]:
    """Replace the string view of the first metric."""

    def forge(folder: Path) -> None:
        place = Chunk(folder / METRICS).columns[column].data[0]
        with (folder / METRICS).open("r+b") as stream:
            stream.seek(place)
            stream.write(view)

    return forge


def table(path: str, data: pa.Table, compression: str | None = None) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_file(folder / path, data.schema, options=options) as writer:
            writer.write_table(data)

    return forge


def compressed(codec: str) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        table(VALUES, pa.table({"outputs": np.zeros(50_000_000)}), codec)(folder)

    return forge


def nested(levels: int) -> pa.Table:
    kind = pa.int32()
    for _ in range(levels):
        kind = pa.list_(kind)
    return pa.table({"outputs": pa.array([None], kind)})


def instead(path: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        (folder / path).unlink()
        make(folder / path)

    return forge


def void(_: object) -> None:
    """A forgery returns nothing."""


LIST_OF_SESSIONS = '"sessions": ' + "[" * 100_000

BOMBS: dict[str, Callable[[Path], None]] = {
    "rows beyond the capacity": superblock(VALUES, rows=1 << 63),
    "a milliard of rows": superblock(VALUES, rows=10**9, capacity=10**9),
    "a milliard of index rows": superblock(INDEX, rows=10**9, capacity=10**9),
    "a milliard of metrics": superblock(METRICS, rows=10**9, capacity=10**9),
    "every row there can be": superblock(VALUES, rows=(1 << 64) - 1, capacity=(1 << 64) - 1),
    "a capacity that overflows": superblock(INDEX, capacity=1 << 61),
    "a first row that overflows": superblock(VALUES, first_row=(1 << 64) - 1),
    "an index that starts late": superblock(INDEX, first_row=1 << 63),
    "metrics that start late": superblock(METRICS, first_row=(1 << 64) - 50),
    "an unknown feature of a chunk": superblock(VALUES, incompatible=1 << 9),
    "a chunk of a later format": superblock(INDEX, format=(1 << 32) - 1),
    "a body without end": word(VALUES, "body", (1 << 63) - 1),
    "a negative body": word(VALUES, "body", -64),
    "a body of nothing": word(INDEX, "body", 0),
    "a buffer at the end of numbers": word(VALUES, "buffers", (1 << 63) - 64, shift=20),
    "a negative buffer": word(VALUES, "buffers", -64, shift=4 + 32),
    "a buffer whose end overflows": both(
        word(METRICS, "buffers", 64, shift=4 + 16),
        word(METRICS, "buffers", (1 << 63) - 1, shift=12 + 16),
    ),
    "buffers without number": word(INDEX, "buffers", (1 << 32) - 1, kind="<I"),
    "nodes without number": word(INDEX, "nodes", (1 << 31) - 1, kind="<I"),
    "no buffers": word(VALUES, "buffers", 0, kind="<I"),
    "a schema of 4 GiB": size_of_message(VALUES, (1 << 32) - 1),
    "a schema of 2 GiB, all there": both(
        longer(VALUES, 1 << 33), size_of_message(VALUES, (1 << 31) - 8)
    ),
    "a schema of 16 MiB of zeros": both(longer(INDEX, 1 << 30), size_of_message(INDEX, 16 << 20)),
    "a record of 4 GiB": size_of_message(VALUES, (1 << 32) - 1, second=True),
    "a record of 15 MiB": both(
        longer(METRICS, 1 << 30), size_of_message(METRICS, 15 << 20, second=True)
    ),
    "a chunk of 1 TiB": longer(VALUES, HUGE),
    "an index of 1 TiB": longer(INDEX, HUGE),
    "a chunk of zeros": sparse(VALUES),
    "a table of metrics of zeros": sparse(METRICS),
    "a chunk stretched to 1 TiB": stretched(VALUES),
    "an index stretched to 1 TiB": stretched(INDEX),
    "a table of metrics stretched to 1 TiB": stretched(METRICS),
    "a watermark of zeros": sparse("watermark"),
    "a watermark at the end of numbers": watermark(sequence=(1 << 64) - 1, durable=0),
    "hidden ranges without number": watermark(count=(1 << 32) - 1),
    "a hidden range that goes back": watermark(ranges(9, 5)),
    "hidden ranges that overlap": watermark(ranges(2, 6, 4, 8)),
    "a hidden range beyond the watermark": watermark(ranges(5, (1 << 64) - 1)),
    "more hidden ranges than a page has": watermark(ranges(*range(1, 505))),
    "more durable than there is": watermark(durable=1 << 60),
    "a session that nobody knows": watermark(session=77),
    "a store.json of 1 TiB": longer("store.json", HUGE),
    "a store.json of blanks": content("store.json", b" " * (300 << 20)),
    "a store.json without end": description("store.json", '"sessions": [', LIST_OF_SESSIONS),
    "a store.json of deep lists": content("store.json", b"[" * (1 << 20)),
    "a store.json of deep objects": content("store.json", b'{"format":' * (1 << 20)),
    "a number of a million digits": description(
        "store.json", '"format": 1', f'"format": 1{"0" * 10**6}'
    ),
    "a format that is text": description("store.json", '"format": 1', '"format": "1"'),
    "a channel.json of zeros": sparse(DESCRIPTION),
    "a channel.json of deep lists": shape('"shape": ' + "[" * 10**6),
    "a shape that overflows": shape('"shape": [1099511627776, 1099511627776]'),
    "a shape of a million numbers": shape(f'"shape": {json.dumps([1] * 10**6)}'),
    "a negative shape": shape('"shape": [-4]'),
    "labels of another channel": description(DESCRIPTION, '"MLP"', '"../../MLP"'),
    "an unknown dtype": description(DESCRIPTION, '"float32"', f'"float{"9" * 10**5}"'),
    "an unknown kind": description(DESCRIPTION, '"tensor"', '"tensors"'),
    "an index row of many rows": index_row(rows=(1 << 31) - 1),
    "an index row of negative rows": index_row(rows=-5),
    "an index row at a negative row": index_row(row_start=-1),
    "an index row at the end of numbers": index_row(row_start=(1 << 63) - 1),
    "an index row that overlaps": index_row(row_start=2),
    "a label without end": label("name", struct.pack("<iIii", (1 << 31) - 1, 0, 0, 0)),
    "a label of negative length": label("split", struct.pack("<iIii", -1, 0, 0, 0)),
    "a label from outside": label("name", struct.pack("<iIii", 20, 0, 0, (1 << 31) - 1)),
    "a label of another region": label("name", struct.pack("<iIii", 20, 0, 5, 0)),
    "a label that is no text": label("phase", struct.pack("<i12s", 5, b"\xff\xfe\xff\xfe\xff")),
    "a body packed with lz4": compressed("lz4"),
    "a body packed with zstd": compressed("zstd"),
    "lists in lists": table(VALUES, nested(50)),
    "ten thousand columns": table(VALUES, pa.table({f"{n}": [n] for n in range(10_000)})),
    "a dictionary": table(INDEX, pa.table({"epoch": pa.array(["a"]).dictionary_encode()})),
    "a folder for a chunk": instead(VALUES, lambda path: path.mkdir()),
    "a pipe for a chunk": instead(VALUES, os.mkfifo),
    "a pipe for the watermark": instead("watermark", os.mkfifo),
    "a pipe for a description": instead(DESCRIPTION, os.mkfifo),
    "a link to endless zeros": instead(VALUES, lambda path: path.symlink_to("/dev/zero")),
    "a description of endless zeros": instead(
        DESCRIPTION, lambda path: path.symlink_to("/dev/zero")
    ),
    "a store.json of endless zeros": instead(
        "store.json", lambda path: path.symlink_to("/dev/zero")
    ),
    "a link to itself": instead(INDEX, lambda path: path.symlink_to(path.name)),
}


def read_all(folder: Path) -> tuple[str | None, float, int]:
    finished = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert finished.returncode == 0, f"{finished.returncode}: {finished.stderr[-2000:]}"
    error, seconds, extra = json.loads(finished.stdout)
    return error, seconds, extra


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb(pattern: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "records"
    shutil.copytree(pattern, folder)
    BOMBS[name](folder)
    error, seconds, extra = read_all(folder)
    assert error is not None, "it was read as if nothing were wrong"
    assert str(folder) in error, error
    assert len(error) < 1000
    assert seconds < MOST_SECONDS
    assert extra < MOST_EXTRA_BYTES


def test_the_pattern_is_read(pattern: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    shutil.copytree(pattern, folder)
    error, _, _ = read_all(folder)
    assert error is None


@pytest.mark.parametrize(
    "forge",
    [
        BOMBS["an index stretched to 1 TiB"],
        BOMBS["a pipe for the watermark"],
        content(f"{CHANNEL}/chunk-4294967295.arrow", b""),
        content("metrics/chunk-4294967295.arrow", b""),
    ],
    ids=["rows without number", "a pipe", "the last chunk", "the last table of metrics"],
)
def test_what_can_be_saved_is_saved_soon(
    pattern: Path, tmp_path: Path, forge: Callable[[Path], None]
) -> None:
    folder = tmp_path / "records"
    shutil.copytree(pattern, folder)
    forge(folder)
    assert verify_store(str(folder)).damages
    repaired = repair_store(str(folder), str(tmp_path / "saved"), run_id="r", without=[])
    assert repaired.metric_rows == 20


def test_hidden_numbers_are_not_counted_one_by_one(pattern: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    shutil.copytree(pattern, folder)
    (folder / INDEX).unlink()
    forge_watermark(folder / "watermark", ranges(40, 1 << 62), sequence=1 << 62)
    repaired = repair_store(str(folder), str(tmp_path / "saved"), run_id="r", without=[])
    assert (repaired.batches, repaired.metric_rows) == (20, 20)
