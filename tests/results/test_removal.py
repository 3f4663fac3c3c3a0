"""`mlx rm` and `mlx gc`: what they remove, what they leave, and what a kill leaves of them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.base.files import this_host
from specplan.results.open import open_run
from specplan.results.status import read_run_file
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder
from specplan.store.run_file import Status
from specplan.track.run import TrackedRun
from tests.cli.conftest import run_mlx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEAD = 2**22 + 1
"""No process has this number."""


def made(
    root: Path, experiment: str, run_id: str, status: Status = Status.COMPLETED, day: int = 1
) -> RunFolder:
    run = TrackedRun.start(root / "runs", experiment, run_id=run_id)
    run.log_metrics({"loss": 0.5})
    run.end(status)
    run_file = read_run_file(run.folder)
    begun = f"2026-01-{day:02d}T00:00:00.000Z"
    run.folder.run_file.write_bytes(
        encode_checked(msgspec.structs.replace(run_file, created_at=begun))
    )
    return run.folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Runs `a` to `d` of an experiment, `b` and `c` of which failed, and one of another."""
    for day, name in enumerate("abcd", start=1):
        made(tmp_path, "study", name, Status.FAILED if name in "bc" else Status.COMPLETED, day)
    made(tmp_path, "other", "e", Status.FAILED, 9)
    return tmp_path


def there(root: Path) -> str:
    return "".join(sorted(path.parent.name for path in root.glob("runs/*/[!.]*/run.json")))


def hidden(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob(".*") if path.name not in (".removed", ".lock"))


def removed(root: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = run_mlx(*arguments, "--json", folder=root)
    assert result.returncode == code, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_nothing_is_removed_unless_it_is_asked_for(root: Path) -> None:
    result = run_mlx("rm", "study/a", "study/b", folder=root)
    assert (result.returncode, there(root)) == (0, "abcde")
    assert result.stderr == "nothing was removed; --perform does it\n"
    header, *rows, last = result.stdout.splitlines()
    assert header.split() == ["bytes", "what", "path"]
    assert [row.split()[1:] for row in rows] == [["run", "runs/study/a"], ["run", "runs/study/b"]]
    size = sum(
        512 * path.lstat().st_blocks
        for name in "ab"
        for path in (root / "runs/study" / name, *(root / "runs/study" / name).rglob("*"))
    )
    assert sum(int(row.split()[0]) for row in rows) == size
    assert last.startswith("2 things: ")
    performed = removed(root, "rm", "study/a", "study/b", "--perform")
    assert (performed["performed"], performed["bytes"], there(root)) == (True, size, "cde")
    assert hidden(root) == []


def test_versions_are_not_given_again(root: Path) -> None:
    removed(root, "rm", "study/a", "study/d", "--perform")
    for version in (5, 6):
        run = TrackedRun.start(root / "runs", "study")
        run.end()
        assert run.version == version


@pytest.fixture
def live(root: Path) -> Iterator[TrackedRun]:
    run = TrackedRun.start(root / "runs", "study", run_id="live")
    run.log_metrics({"loss": 0.5})
    yield run
    run.end()


def test_a_run_that_goes_on_stays(root: Path, live: TrackedRun) -> None:
    found = removed(root, "rm", "study", "--perform", code=1)
    assert there(root) == "elive"
    ((stayed,), (reason,)) = zip(*(each.values() for each in found["kept"]), strict=True)
    assert stayed == "runs/study/live"
    assert reason == "run `runs/study/live` goes on: a process writes its records"
    assert removed(root, "gc", "--status", "running", "--perform")["removed"] == []
    live.log_metrics({"loss": 0.25})


def test_what_run_json_says_counts_as_well(root: Path, live: TrackedRun) -> None:
    live.folder.records_lock.unlink()
    found = removed(root, "rm", "live", "--perform", code=1)
    assert f"goes on: process {os.getpid()} on " in found["kept"][0]["reason"]


def test_the_lock_counts_where_run_json_is_damaged(root: Path) -> None:
    folder = RunFolder(root / "runs/study/a")
    folder.run_file.write_text("{")
    with folder.records_lock.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert removed(root, "rm", "runs/study/a", "--perform", code=1)["kept"]
    removed(root, "rm", "runs/study/a", "--perform")
    assert there(root) == "bcde"


def test_links_are_not_followed_and_the_root_is_not_left(root: Path, tmp_path: Path) -> None:
    outside = made(tmp_path / "outside", "study", "x")
    (root / "runs/study/link").symlink_to(outside.path)
    (root / "runs/linked").symlink_to(outside.path.parent)
    (root / "runs/study/a/artifacts").mkdir(exist_ok=True)
    (root / "runs/study/a/artifacts/outside").symlink_to(outside.path)
    for name, message in (
        ("study/link", "is a link"),
        (str(outside.path), "does not lie below `runs`"),
        ("linked/x", "does not lie below `runs`"),
    ):
        found = removed(root, "rm", name, "--perform", code=1)
        assert message in found["kept"][0]["reason"]
    removed(root, "rm", "study/a", "--perform")
    removed(root, "gc", "--keep-last", "0", "--perform")
    assert there(root) == "linkx"
    assert open_run(outside.path).status is Status.COMPLETED


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ((), "abcde"),
        (("--status", "failed"), "ad"),
        (("study", "--status", "failed", "--keep-last", "1"), "acde"),
        (("--keep-last", "1"), "de"),
        (("--keep-last", "9"), "abcde"),
        (("--older-than", "2026-01-03"), "cde"),
        (("--where", "status = failed and run != b"), "abd"),
    ],
)
def test_policies(root: Path, arguments: tuple[str, ...], left: str) -> None:
    dry = removed(root, "gc", *arguments)
    assert there(root) == "abcde"
    performed = removed(root, "gc", *arguments, "--perform")
    assert performed["removed"] == dry["removed"]
    assert there(root) == left


def test_leftovers(root: Path) -> None:
    runs = root / "runs"
    begun = runs / f"study/.20260101-000000.{DEAD}"
    shutil.copytree(runs / "study/a", begun)
    shutil.copytree(runs / "study/a", runs / f"study/.gone-run.{DEAD}.gone")
    extracted = runs / f"study/.b.x_1.{DEAD}.tmp"
    imported = runs / f".import-x_1.{DEAD}.tmp"
    shutil.copytree(runs / "study/a", imported / "study/a")
    shutil.copytree(runs / "study/a", extracted)
    other_host = runs / f".import-z_3.00000000-{DEAD}.tmp"
    given_up = runs / f".import-z_4.00000000-{DEAD}.tmp"
    for path in (other_host, given_up):
        path.mkdir()
    os.utime(given_up, (0, 0))
    finished = RunFolder(runs / "study/b")
    (finished.checkpoints / f".000001.{DEAD}").mkdir(parents=True)
    (finished.artifacts / "mine").mkdir(parents=True)
    files = [
        runs / f"..index.msgpack.{DEAD}",
        runs / f".net.json.{this_host()}-{DEAD}",
        runs / f"study/sweep-1/.sweep.json.{DEAD}",
        finished.reserve,
        finished.path / f".run.json.{DEAD}",
        finished.records / "chunk.arrow.tmp",
        finished.artifacts / f"mine/.x.png.{DEAD}.tmp",
    ]
    kept = [
        other_host / "study/a/run.json",
        runs / "study/.vscode.1/settings.json",
        runs / f"study/.beginning.{os.getpid()}/plan.json",
        runs / f".net.json.{this_host()}-{os.getpid()}",
        runs / f".mine.json.{DEAD}",
        runs / f".import-y_2.{os.getpid()}.tmp/study/a/run.json",
        finished.path / f".params.json.{os.getpid()}",
        finished.artifacts / "mine/x.tmp",
        RunFolder(runs / "other/e").path / f".notes.{DEAD}",
    ]
    for path in (*files, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    found = removed(root, "gc", "--perform")
    assert {each["path"] for each in found["removed"]} == {
        str(path.relative_to(root))
        for path in (
            *files,
            begun,
            extracted,
            imported,
            given_up,
            runs / f"study/.gone-run.{DEAD}.gone",
            finished.checkpoints / f".000001.{DEAD}",
        )
    }
    assert all(path.exists() for path in kept)
    assert there(root) == "abcde"
    assert removed(root, "gc")["removed"] == []
    assert run_mlx("verify", "study/b", folder=root).returncode == 0


def test_checkpoints_of_runs_that_are_complete(root: Path) -> None:
    for name in "ab":
        (root / f"runs/study/{name}/checkpoints/000001").mkdir(parents=True)
    assert removed(root, "gc", "--perform")["removed"] == []
    (item,) = removed(root, "gc", "--checkpoints", "--perform")["removed"]
    assert item["path"] == "runs/study/a/checkpoints"
    assert (root / "runs/study/b/checkpoints/000001").is_dir()
    assert hidden(root) == []


KILLED = """
import os, pathlib, sys
from specplan.cli.start import main
pathlib.Path.rename = lambda *_: os._exit(9)
sys.argv = ["mlx", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [("import", "--from", "jsonl", "rows.jsonl"), ("archive", "--extract", "kept.run.mml")],
    ids=["import", "extract"],
)
def test_what_a_kill_leaves_of_a_run_that_comes_in(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folder = made(tmp_path, "study", "a")
    run_mlx("archive", "study/a", "--to", "kept", folder=tmp_path)
    shutil.rmtree(folder.path)
    (tmp_path / "rows.jsonl").write_text('{"step": 1, "metric": "loss", "value": 0.5}\n')
    program = [sys.executable, "-c", KILLED, *arguments]
    assert subprocess.run(program, cwd=tmp_path, check=False).returncode == 9
    (left,) = removed(tmp_path, "gc", "--perform")["removed"]
    assert left["what"] == "a folder that was never finished"
    assert hidden(tmp_path / "runs") == []


def test_a_removal_that_is_killed_is_found(root: Path) -> None:
    program = (
        "import os, shutil, signal, sys\n"
        "from pathlib import Path\n"
        "def killed(path):\n"
        "    (path / 'plan.json').unlink()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "shutil.rmtree = killed\n"
        "from specplan.results.removal import candidate, remove\n"
        "remove(candidate(Path('runs/study/a'), 'run', 'run'), Path('runs'))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=root, check=False)
    assert result.returncode == -signal.SIGKILL
    assert there(root) == "bcde"
    assert run_mlx("list", folder=root).stderr == ""
    (item,) = removed(root, "gc", "--perform")["removed"]
    assert item["what"] == "was removed half way"
    assert hidden(root) == []
