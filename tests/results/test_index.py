"""The list of runs: what is kept in the index, and that nothing depends on it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from specplan.results.index import WORTH_WRITING, Index
from specplan.results.status import read_run_file
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder, index_file
from specplan.store.run_file import Status
from specplan.store.tags import change_tags, read_tags
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from pathlib import Path

COUNT = WORTH_WRITING + 3


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two experiments, as if they were of yesterday. Not to be changed."""
    root = tmp_path_factory.mktemp("many")
    run = TrackedRun.start(root / "made", "study", tags={"kind": "first"})
    run.set_params({"lr": 0.1, "net": {"width": 8}})
    run.log_metrics({"loss": 0.5})
    run.end()
    for number in range(COUNT):
        folder = RunFolder(root / f"runs/study-{number % 2}/2026010{number % 3}-{number:06d}")
        shutil.copytree(run.folder.path, folder.path)
        run_file = read_run_file(folder)
        changed = msgspec.structs.replace(run_file, run_id=folder.path.name, version=number)
        folder.run_file.write_bytes(encode_checked(changed))
    settle(root)
    return root


@pytest.fixture
def root(many: Path, tmp_path: Path) -> Path:
    """A copy of them that may be changed."""
    shutil.copytree(many / "runs", tmp_path / "runs")
    settle(tmp_path / "runs")
    return tmp_path / "runs"


def settle(root: Path) -> None:
    """Make everything older than what an index leaves out."""
    yesterday = time.time() - 86_400
    for place, folders, files in os.walk(root):
        for name in (*folders, *files):
            os.utime(os.path.join(place, name), (yesterday, yesterday))  # noqa: PTH118


def listed(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a list can tell, by run."""
    index = Index(root)
    found: dict[str, tuple[object, ...]] = {
        run.entry.run_id: (
            run.status,
            run.entry.version,
            run.tags,
            run.params,
            run.metrics,
        )
        for run in index.runs(lambda _: True)
    }
    assert index.faults == []
    index.save()
    return found


def test_the_index_changes_nothing_but_time(root: Path) -> None:
    first = listed(root)
    assert index_file(root).is_file()
    assert len(first) == COUNT
    assert first["20260100-000000"] == (
        Status.COMPLETED,
        0,
        {"kind": "first"},
        {"lr": 0.1, "net.width": 8},
        {"loss": 0.5},
    )
    assert listed(root) == first
    index_file(root).unlink()
    assert listed(root) == first


def test_what_is_in_the_index_is_not_read_again(root: Path) -> None:
    before = listed(root)
    folder = RunFolder(root / "study-0/20260100-000000")
    stat, inside = folder.run_file.stat(), folder.path.stat()
    with folder.run_file.open("r+b") as file:
        file.write(b"damaged")
    os.utime(folder.run_file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.utime(folder.path, ns=(inside.st_atime_ns, inside.st_mtime_ns))
    assert listed(root) == before


def test_what_changed_is_found(root: Path) -> None:
    listed(root)
    folder = RunFolder(root / "study-0/20260100-000000")
    run_file = msgspec.structs.replace(read_run_file(folder), status=Status.FAILED)
    folder.run_file.write_bytes(encode_checked(run_file))
    assert listed(root)["20260100-000000"][0] is Status.FAILED
    change_tags(folder, {"good": None}, [])
    assert listed(root)["20260100-000000"][2] == {"good": None, "kind": "first"}
    folder.params_file.write_text("{}")
    os.utime(folder.path)
    assert listed(root)["20260100-000000"][3] == {}
    shutil.rmtree(folder.path)
    assert "20260100-000000" not in listed(root)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "garbage", "folder"])
def test_damage_of_the_index_is_no_error(root: Path, damage: str) -> None:
    before = listed(root)
    path = index_file(root)
    content = path.read_bytes()
    path.unlink()
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "flipped":
            middle = len(content) // 2
            flipped = bytes([content[middle] ^ 1])
            path.write_bytes(content[:middle] + flipped + content[middle + 1 :])
        case "empty":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(os.urandom(1000))
        case "folder":
            path.mkdir()
    assert listed(root) == before


def test_several_may_write_it_at_once(root: Path) -> None:
    expected = listed(root)
    found = []

    def ask() -> None:
        index_file(root).unlink(missing_ok=True)
        found.append(listed(root))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == [
        index_file(root).name
    ]


def test_a_run_that_goes_on_is_shown_as_it_stands(root: Path) -> None:
    run = TrackedRun.start(root, "live")
    run.log_metrics({"loss": 0.5})
    run.sync()
    settle(root)
    assert listed(root)[run.id][::4] == (Status.RUNNING, {"loss": 0.5})
    run.log_metrics({"loss": 0.25})
    run.sync()
    settle(root)
    assert listed(root)[run.id][::4] == (Status.RUNNING, {"loss": 0.25})
    run.end()
    assert listed(root)[run.id][::4] == (Status.COMPLETED, {"loss": 0.25})


def test_a_process_that_went_away_is_noticed_at_once(root: Path) -> None:
    folder = RunFolder(root / "study-1/20260101-000001")
    run_file = read_run_file(folder)
    session = msgspec.structs.replace(
        run_file.sessions[0], ended_at=None, host=socket.gethostname(), boot_id="another"
    )
    changed = msgspec.structs.replace(run_file, status=Status.RUNNING, sessions=(session,))
    folder.run_file.write_bytes(encode_checked(changed))
    settle(root)
    assert listed(root)[folder.path.name][0] is Status.INTERRUPTED
    assert listed(root)[folder.path.name][0] is Status.INTERRUPTED


def test_few_runs_need_no_index(tmp_path: Path) -> None:
    run = TrackedRun.start(tmp_path, "one")
    run.end()
    settle(tmp_path)
    listed(tmp_path)
    assert not index_file(tmp_path).exists()


def test_tags_of_the_plan_count_until_they_are_changed(root: Path) -> None:
    folder = RunFolder(root / "study-1/20260101-000001")
    assert read_tags(folder) == {"kind": "first"}
    assert change_tags(folder, {"fold": "3"}, ["kind"]) == {"fold": "3"}
    assert read_tags(folder) == {"fold": "3"}


UNREADABLE = """
import ctypes, runpy, sys
for capability in (1, 2):  # without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH root is refused, too
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
import os
os.execv(sys.executable, [sys.executable, "-c", "from specplan.cli.start import main; main()", *sys.argv[1:]])
"""


@pytest.mark.parametrize("arguments", [("list",), ("gc",), ("list", "--columns", "run,tags")])
def test_what_nobody_may_read_hides_nothing_else(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    for name in ("shut/a", "open/b", "run-shut/c", "file-shut/d"):
        TrackedRun.start(tmp_path / "runs", name.split("/")[0], run_id=name.split("/")[1]).end()
    (tmp_path / "runs/loop").symlink_to("loop")
    (tmp_path / "runs/nowhere").symlink_to("away")
    shut = [tmp_path / "runs" / each for each in ("shut", "run-shut/c", "file-shut/d/run.json")]
    for path in shut:
        path.chmod(0)
    try:
        done = subprocess.run(
            [sys.executable, "-c", UNREADABLE, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for path in shut:
            path.chmod(0o700)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert sorted(said) == [
        "warning: runs/file-shut/d/run.json cannot be read: Permission denied",
        "warning: runs/loop cannot be read: Too many levels of symbolic links",
        "warning: runs/run-shut/c cannot be read: Permission denied",
        "warning: runs/shut cannot be read: Permission denied",
    ]
    if arguments[0] == "list":
        assert [line.split()[0] for line in done.stdout.splitlines()[1:]] in (["open"], ["b"])
