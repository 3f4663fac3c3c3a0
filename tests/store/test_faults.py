"""Files that lose their bytes while they are mapped. Each case runs in a process of its own, which must live."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.store.records import channel, create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 4096
"""Of 4 float32 each: sixteen pages of values."""

PRELUDE = """
import faulthandler, mmap, os, signal, sys
from pathlib import Path
import numpy as np
from specplan._native import StoreReader, export_execution, export_metrics
from specplan.errors import StoreError

folder = Path(sys.argv[1])

def refusal(call):
    try:
        call()
    except StoreError as error:
        return str(error)
    return None
"""


def write_store(folder: Path) -> None:
    store = create(folder)
    values = channel(store)
    for batch in range(8):
        values.record(np.full((ROWS, 4), batch + 1, np.float32), 0, batch)
    loss = store.metrics([("train", None, None, "loss")])
    for batch in range(200):
        loss.log(np.array([1.0]), 0, batch, batch)
    store.close()


def run_program(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


CHANNEL = "train.MLP.default.outputs"
CALLS = {
    "get": "tensor.get(0, 6)",
    "at": "tensor.at(6)",
    "chunks": "tensor.chunks()",
    "index": "tensor.index()",
    "refresh": "reader.refresh()",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("name", ["chunk-000000.arrow", "index-000000.arrow"])
def test_every_call_names_the_shortened_file(tmp_path: Path, name: str, call: str) -> None:
    write_store(tmp_path)
    program = f"""
reader = StoreReader.open(str(folder), check=False)
(tensor,) = reader.tensors()
path = folder / "{CHANNEL}" / "{name}"
held = tensor.get(0, 5)
assert (held == 6).all()
os.truncate(path, 4096)
if "{name}".startswith("chunk"):
    assert not held[:, 0].all(), "what was handed out reads as zeros where the file has nothing"
else:
    refusal(tensor.index)
for _ in range(2):
    text = refusal(lambda: {call})
    assert text is not None and str(path) in text, text
    # A refresh may open the file anew and find it short.
    assert "while it was mapped" in text or "refresh" in "{call}", text
"""
    finished = run_program(program, tmp_path)
    assert finished.returncode == 0, finished.stderr


def test_checked_reading_notices_at_once(tmp_path: Path) -> None:
    write_store(tmp_path)
    program = f"""
reader = StoreReader.open(str(folder))
(tensor,) = reader.tensors()
path = folder / "{CHANNEL}" / "chunk-000000.arrow"
assert (tensor.get(0, 0) == 1).all()
os.truncate(path, 100_000)
text = refusal(lambda: tensor.get(0, 7))
assert text is not None and str(path) in text and "while it was mapped" in text, text
assert refusal(lambda: StoreReader.open(str(folder))) is not None
"""
    finished = run_program(program, tmp_path)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    "change",
    [
        "os.unlink(path)",
        "shutil.copy(path, aside); os.truncate(aside, 100); os.rename(aside, path)",
        "path.open('ab').write(bytes(100_000))",
    ],
    ids=["unlinked", "replaced", "appended"],
)
def test_other_changes_leave_the_map_as_it_was(tmp_path: Path, change: str) -> None:
    write_store(tmp_path)
    program = f"""
import shutil
reader = StoreReader.open(str(folder))
(tensor,) = reader.tensors()
path = folder / "{CHANNEL}" / "chunk-000000.arrow"
aside = folder / "aside"
{change}
assert reader.refresh() == reader.watermark
assert all((tensor.get(0, batch) == batch + 1).all() for batch in range(8))
"""
    finished = run_program(program, tmp_path)
    assert finished.returncode == 0, finished.stderr


def test_exports_name_the_shortened_file(tmp_path: Path) -> None:
    write_store(tmp_path)
    program = """
from threading import Thread
import time
path = folder / "train.MLP.default.outputs" / "chunk-000000.arrow"
whole = path.read_bytes()
for trial in range(20):
    path.unlink()
    path.write_bytes(whole)
    def shorten():
        time.sleep(trial * 0.0005)
        os.truncate(path, 8192)
    thread = Thread(target=shorten)
    thread.start()
    text = refusal(lambda: export_execution(str(folder), "train", str(folder / "t.parquet"), run_id="r"))
    thread.join()
    assert text is None or str(path) in text, text
"""
    finished = run_program(program, tmp_path)
    assert finished.returncode == 0, finished.stderr


def test_several_maps_and_threads(tmp_path: Path) -> None:
    for number in range(12):
        write_store(tmp_path / f"{number}")
    program = f"""
from concurrent.futures import ThreadPoolExecutor
readers = [StoreReader.open(str(folder / f"{{number}}"), check=False) for number in range(12)]
arrays = [[r.tensors()[0].get(0, batch) for batch in range(8)] for r in readers]
del readers[8:]
for number in range(6):
    os.truncate(folder / f"{{number}}" / "{CHANNEL}" / "chunk-000000.arrow", 0)
with ThreadPoolExecutor(8) as pool:
    sums = list(pool.map(lambda of_store: sum(float(a.sum()) for a in of_store), arrays))
assert sums[:6] == [0] * 6, sums
assert sums[6:] == [36.0 * {ROWS * 4}] * 6, sums
for number, reader in enumerate(readers):
    text = refusal(lambda: reader.tensors()[0].get(0, 0))
    assert (text is not None) == (number < 6), (number, text)
"""
    finished = run_program(program, tmp_path)
    assert finished.returncode == 0, finished.stderr


FOREIGN = """
foreign = folder / "foreign"
foreign.write_bytes(bytes(8192))
with foreign.open("rb") as file:
    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
os.truncate(foreign, 0)
"""


@pytest.mark.parametrize("when", ["never", "before", "after", "both"])
def test_faults_of_others_end_the_process_as_before(tmp_path: Path, when: str) -> None:
    write_store(tmp_path)
    program = f"""
when = "{when}"
if when in ("before", "both"):
    faulthandler.enable()
reader = StoreReader.open(str(folder))
if when in ("after", "both"):
    faulthandler.disable()
    faulthandler.enable()
again = StoreReader.open(str(folder))
path = folder / "{CHANNEL}" / "chunk-000000.arrow"
held = reader.tensors()[0].get(0, 5)
os.truncate(path, 4096)
assert not held.any()
print("alive", flush=True)
{FOREIGN}
pages[5000]
print("not reached", flush=True)
"""
    finished = run_program(program, tmp_path)
    assert finished.returncode == -signal.SIGBUS, finished.stderr
    assert finished.stdout == "alive\n"
    assert finished.stderr.count("Fatal Python error: Bus error") == (when != "never")


def test_a_handler_of_python_still_gets_the_signal(tmp_path: Path) -> None:
    write_store(tmp_path)
    program = """
seen = []
signal.signal(signal.SIGBUS, lambda number, frame: seen.append(number))
reader = StoreReader.open(str(folder))
for _ in range(3):
    os.kill(os.getpid(), signal.SIGBUS)
assert seen == [signal.SIGBUS] * 3, seen
signal.signal(signal.SIGBUS, signal.SIG_IGN)
reader = StoreReader.open(str(folder))
os.kill(os.getpid(), signal.SIGBUS)
print("alive")
signal.signal(signal.SIGBUS, signal.SIG_DFL)
reader = StoreReader.open(str(folder))
os.kill(os.getpid(), signal.SIGBUS)
"""
    finished = run_program(program, tmp_path)
    assert (finished.returncode, finished.stdout) == (-signal.SIGBUS, "alive\n"), finished.stderr


def test_a_forked_child_is_guarded_too(tmp_path: Path) -> None:
    write_store(tmp_path)
    program = f"""
reader = StoreReader.open(str(folder), check=False)
(tensor,) = reader.tensors()
path = folder / "{CHANNEL}" / "chunk-000000.arrow"
child = os.fork()
if child == 0:
    os.truncate(path, 4096)
    tensor.get(0, 5).sum()
    os._exit(7 if refusal(lambda: tensor.get(0, 5)) else 8)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
tensor.get(0, 5).sum()
assert refusal(lambda: tensor.get(0, 5))
"""
    finished = run_program(program, tmp_path)
    assert finished.returncode == 0, finished.stderr


@contextmanager
def loop_mount(image: Path, place: Path) -> Iterator[None]:
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("mkfs.ext4") is None
    or not os.path.exists("/dev/loop-control"),  # noqa: PTH110
    reason="only root can mount a file system that loses its blocks",
)
def test_a_block_that_the_disk_cannot_read(tmp_path: Path) -> None:
    image, place = tmp_path / "image", tmp_path / "place"
    with loop_mount(image, place):
        write_store(place / "store")
        subprocess.run(["sync", "-f", place], check=True)
        program = f"""
reader = StoreReader.open(str(folder), check=False)
(tensor,) = reader.tensors()
path = folder / "{CHANNEL}" / "chunk-000000.arrow"
descriptor = os.open(path, os.O_RDONLY)
os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
os.truncate(sys.argv[2], 1 << 20)
zeros = sum(int((tensor.get(0, batch) == 0).sum()) for batch in range(1))
text = refusal(lambda: [tensor.get(0, batch).sum() for batch in range(8)])
assert text is not None and str(path) in text and "disk cannot read" in text, (zeros, text)
print("alive")
"""
        finished = run_program(program, place / "store", image)
    assert (finished.returncode, finished.stdout) == (0, "alive\n"), finished.stderr
