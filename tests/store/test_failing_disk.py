"""Stores on a disk that is full for a while, too small, or has no descriptors left."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.small_disk import small_disk

if TYPE_CHECKING:
    from pathlib import Path

# Each record of every channel holds its own number, so that what is read tells which records they are.
PROGRAM = """
import json, os, resource, shutil, sys, tempfile
import numpy as np
import pyarrow.parquet as pq
from specplan._native import Store, StoreReader, export_metrics
from specplan.errors import StoreError

path, on_error = sys.argv[1], sys.argv[2]
LABELS = {"phase": "train", "node": "MLP", "role": "default"}
ROWS, WIDTH = 4, 256


class Run:
    def __init__(self, **options):
        self.store = Store.create(path, run_id="r", on_error=on_error, **options)
        self.channels = [
            self.store.tensor(field=field, dtype="float64", shape=[WIDTH], **LABELS)
            for field in ("a", "b")
        ]
        self.group = self.store.metrics([("train", None, None, "loss"), ("train", "MLP", None, "n")])
        self.recorded, self.errors = [], []

    def record(self, count):
        for _ in range(count):
            number = len(self.recorded) + 1
            try:
                if number % 3 == 0:
                    self.group.log(np.full(2, number, np.float64), 0, number, number)
                else:
                    rows = np.full((ROWS, WIDTH), number, np.float64)
                    self.channels[number % 2].record(rows, 0, number)
            except StoreError as error:
                self.errors.append(str(error))
                return
            self.recorded.append(number)

    def sync(self, **options):
        try:
            return self.store.sync(**options)
        except StoreError as error:
            self.errors.append(str(error))

    def end(self):
        try:
            self.store.close()
        except StoreError as error:
            self.errors.append(str(error))
        print(json.dumps({
            "recorded": len(self.recorded),
            "errors": self.errors,
            "dropped": self.store.statistics()["dropped"],
            "read": read(),
        }))


def read():
    reader = StoreReader.open(path)
    numbers = set()
    for tensor in reader.tensors():
        index = tensor.index()
        for place, number in enumerate(index["sequence"].tolist()):
            rows = tensor.at(place)
            assert rows.shape == (ROWS, WIDTH)
            assert (rows == number).all(), (tensor.field, number)
            assert (tensor.get(0, number) == number).all()
            numbers.add(number)
        whole = np.concatenate([np.asarray(chunk)[:, 0] for chunk in tensor.chunks()] or [[]])
        assert whole.tolist() == np.repeat(index["sequence"], ROWS).tolist()
    if reader.metric_files():
        tables = tempfile.mkdtemp()
        export_metrics(path, tables + "/metrics.parquet", run_id="r")
        metrics = pq.read_table(tables + "/metrics.parquet")
        assert (metrics["value"].to_numpy() == metrics["step"].to_numpy()).all()
        assert metrics["name"].to_pylist() == ["loss", "n"] * (len(metrics) // 2)
        numbers |= set(metrics["step"].to_pylist())
        shutil.rmtree(tables)
    return sorted(numbers)


def limit(bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, resource.RLIM_INFINITY))
"""


def run(path: Path, on_error: str, code: str) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM + code, str(path), on_error],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def numbers(*ranges: tuple[int, int]) -> list[int]:
    return [number for first, last in ranges for number in range(first, last + 1)]


def check_counts(found: dict[str, Any]) -> None:
    """Every accepted record is either read or counted as lost."""
    assert set(found["read"]) <= set(range(1, found["recorded"] + 1))
    assert found["recorded"] - len(found["read"]) == found["dropped"]


FULL_FOR_A_WHILE = """
run = Run()
run.record(30)
run.sync()
limit(4096)
run.record(30)
run.sync()
run.record(30)
run.sync()
limit(resource.RLIM_INFINITY)
run.record(30)
run.sync()
run.end()
"""


def test_drop_goes_on_when_there_is_room_again(tmp_path: Path) -> None:
    found = run(tmp_path, "drop", FULL_FOR_A_WHILE)
    assert found["errors"] == []
    assert found["recorded"] == 120
    assert found["dropped"] == 60
    assert found["read"] == numbers((1, 30), (91, 120))


def test_stop_raises_one_error_from_then_on(tmp_path: Path) -> None:
    found = run(tmp_path, "stop", FULL_FOR_A_WHILE)
    assert len(set(found["errors"])) == 1
    assert "File too large" in found["errors"][0]
    assert found["read"] == numbers((1, 30))
    check_counts(found)


@pytest.mark.parametrize("room", [0, 5000, 300_000, 1_100_000])
def test_a_limit_that_hits_any_file(tmp_path: Path, room: int) -> None:
    found = run(
        tmp_path,
        "drop",
        f"""
run = Run(flush_milliseconds=1)
for round in range(12):
    limit({room} if round % 2 else resource.RLIM_INFINITY)
    run.record(40)
    run.sync()
limit(resource.RLIM_INFINITY)
run.end()
""",
    )
    assert found["errors"] == []
    assert found["recorded"] == 480
    check_counts(found)
    lost = set(range(1, 481)) - set(found["read"])
    # Only rounds of the limited halves, and each round as a whole.
    assert all((number - 1) // 40 % 2 == 1 for number in lost)


def test_a_limit_that_stays_to_the_end(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        "drop",
        """
run = Run()
run.record(30)
run.sync()
limit(4096)
run.record(30)
run.sync()
run.end()
""",
    )
    assert found["errors"] == []
    assert found["dropped"] == 30
    assert found["read"] == numbers((1, 30))


def test_large_records_are_dropped_one_by_one(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        "drop",
        """
run = Run()
ROWS = 500
for round in range(4):
    limit(1 << 16 if round % 2 else resource.RLIM_INFINITY)
    run.record(6)
run.end()
""",
    )
    assert found["errors"] == []
    check_counts(found)
    assert set(found["read"]) & {number for number in range(1, 25) if number % 3} == {
        *(1, 2, 4, 5),
        *(13, 14, 16, 17),
    }


def test_no_descriptor_for_a_while(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        "drop",
        """
run = Run()
first = os.open("/dev/null", os.O_RDONLY)
resource.setrlimit(resource.RLIMIT_NOFILE, (first, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
run.record(30)
run.sync()
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
run.record(30)
run.sync()
run.end()
""",
    )
    assert found["errors"] == []
    assert found["dropped"] == 30
    assert found["read"] == numbers((31, 60))


def test_what_was_lost_is_told_to_readers(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        "drop",
        """
run = Run()
for round in range(540):
    limit(4096 if round % 2 else resource.RLIM_INFINITY)
    run.record(1)
    run.sync()
limit(resource.RLIM_INFINITY)
run.end()
""",
    )
    # More gaps than the watermark has room for: what lies between the last ones is lost too.
    assert found["dropped"] > 270
    check_counts(found)
    assert set(found["read"]) >= set(range(1, 480, 2))


SMALL_DISK = """
run = Run({options})
while not run.errors and run.store.statistics()["dropped"] == 0:
    run.record(50)
    run.sync()
full = len(run.recorded)
os.unlink(os.path.join(os.path.dirname(path), "ballast"))
run.record(60)
run.sync()
run.end()
"""


@pytest.mark.parametrize("options", ["", "durability='disk'"])
@pytest.mark.parametrize("on_error", ["drop", "stop"])
def test_a_disk_that_is_really_full(tmp_path: Path, on_error: str, options: str) -> None:
    with small_disk(tmp_path, "6m") as disk:
        (disk / "ballast").write_bytes(bytes(3 << 20))
        found = run(disk / "records", on_error, SMALL_DISK.replace("{options}", options))
    check_counts(found)
    assert found["dropped"] > 0
    if on_error == "drop":
        assert found["errors"] == []
        assert found["read"][-60:] == numbers((found["recorded"] - 59, found["recorded"]))
    else:
        assert len(set(found["errors"])) == 1
        assert "No space left on device" in found["errors"][0]
        assert found["read"] == numbers((1, len(found["read"])))
