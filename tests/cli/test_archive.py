"""`mlx archive`: a run as one file, and back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

import specplan
from specplan.archive.archive import writing
from specplan.results.open import open_run
from specplan.results.status import read_run_file
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> TrackedRun:
    """A run that is over, in `runs/alice/study/first`."""
    run = TrackedRun.start(tmp_path / "runs", "alice/study", run_id="first")
    run.set_params({"lr": 0.1})
    run.log_metrics({"loss": 0.5})
    run.log_artifact("notes/day", "text")
    run.end()
    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_run_comes_back_with_equal_bytes(mlx: Mlx, run: TrackedRun, tmp_path: Path) -> None:
    made = mlx("archive", "alice/study", "--to", "kept", folder=tmp_path)
    assert (made.returncode, made.stdout, made.stderr) == (0, "kept.run.mml\n", "")
    before = contents(run.folder.path)
    again = mlx("archive", "alice/study", "--to", "again", "--json", folder=tmp_path)
    assert json.loads(again.stdout) == {"path": "again.run.mml"}
    first, second = ((tmp_path / f"{name}.run.mml").read_bytes() for name in ("kept", "again"))
    assert first == second
    shutil.rmtree(tmp_path / "runs")
    back = mlx("archive", "kept.run.mml", "--extract", folder=tmp_path)
    assert (back.returncode, back.stdout) == (0, "runs/alice/study/first\n")
    assert contents(run.folder.path) == before
    assert mlx("verify", "alice/study", folder=tmp_path).returncode == 0
    assert open_run(run.folder.path).metrics("loss").arrow["value"].to_pylist() == [0.5]


def test_what_is_there_is_not_replaced(mlx: Mlx, run: TrackedRun, tmp_path: Path) -> None:
    assert mlx("archive", "first", folder=tmp_path).stdout == "study-first.run.mml\n"
    again = mlx("archive", "first", folder=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.endswith("Error: `study-first.run.mml` is there; --force replaces it\n")
    assert mlx("archive", "first", "--force", folder=tmp_path).returncode == 0
    extracted = mlx("archive", "study-first.run.mml", "--extract", folder=tmp_path)
    assert (extracted.returncode, extracted.stdout) == (1, "")
    assert (
        extracted.stderr
        == f"error: there is a run `runs/{run.folder.path.parent.parent.name}"
        + ("/study/first` already\n")
    )


def test_what_cannot_be_archived(mlx: Mlx, run: TrackedRun, tmp_path: Path) -> None:
    live = TrackedRun.start(tmp_path / "runs", "live", run_id="now")
    result = mlx("archive", "live", folder=tmp_path)
    live.end()
    assert (result.returncode, result.stderr) == (
        1,
        "error: run `runs/live/now` goes on; its files are still growing\n",
    )
    (run.folder.artifacts / "secret").symlink_to(tmp_path / "elsewhere")
    result = mlx("archive", "first", folder=tmp_path)
    assert (result.returncode, result.stderr) == (
        1,
        "error: `runs/alice/study/first/artifacts/secret` is a link, which an archive cannot hold\n",
    )
    assert list(tmp_path.glob("*.mml")) == []


READING = (
    ("show", "RUN", "--json"),
    ("metrics", "RUN", "--csv"),
    ("query", "RUN", "select run_id, name, value from metrics"),
    ("verify", "RUN"),
    ("compare", "RUN", "RUN", "--csv"),
    ("env", "RUN", "--json"),
    ("best", "loss", "RUN"),
    ("diff", "RUN", "RUN"),
)


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_an_archive_is_read_as_the_run_is(
    mlx: Mlx, run: TrackedRun, tmp_path: Path, words: tuple[str, ...]
) -> None:
    mlx("archive", run.id, "--to", "kept", folder=tmp_path)
    folder, archive = "runs/alice/study/first", "kept.run.mml"
    expected = mlx(*[folder if word == "RUN" else word for word in words], folder=tmp_path)
    shutil.rmtree(tmp_path / "runs")
    found = mlx(*[archive if word == "RUN" else word for word in words], folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, expected.stderr)
    inside = found.stdout.replace(f"{archive}:run/", f"{folder}/").replace(archive, folder)
    assert inside == expected.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive]


def test_a_report_of_an_archive(mlx: Mlx, run: TrackedRun, tmp_path: Path) -> None:
    mlx("archive", run.id, "--to", "kept", folder=tmp_path)
    assert mlx("report", "kept.run.mml", folder=tmp_path).returncode == 0
    assert "loss" in (tmp_path / "study-first.html").read_text()


def test_python_opens_an_archive(mlx: Mlx, run: TrackedRun, tmp_path: Path) -> None:
    mlx("archive", run.id, "--to", "kept", folder=tmp_path)
    shutil.rmtree(tmp_path / "runs")
    opened = specplan.open(tmp_path / "kept.run.mml")
    assert (opened.experiment, opened.id, opened.params) == ("alice/study", "first", {"lr": 0.1})
    assert opened.metrics("loss").arrow["value"].to_pylist() == [0.5]
    assert opened.artifacts["notes/day"].path.read_text() == "text"
    assert specplan.open(tmp_path / "kept.run.mml").folder == opened.folder


def test_the_copy_that_is_read_is_gone_with_the_process(
    mlx: Mlx, run: TrackedRun, tmp_path: Path
) -> None:
    (run.folder.checkpoints / "000001").mkdir(parents=True)
    (run.folder.checkpoints / "000001/state.bin").write_bytes(b"x" * 100)
    mlx("archive", run.id, "--to", "kept", folder=tmp_path)
    temporary = tmp_path / "temporary"
    left = temporary / f"specplan-{2**22 + 1}-x"
    left.mkdir(parents=True)
    program = (
        "import specplan; run = specplan.open('kept.run.mml'); print(run.folder.checkpoints.exists())\n"
        "import os\nif os.fork() == 0: raise SystemExit\n"
        "os.wait(); print(run.metrics().arrow.num_rows, len(os.listdir(os.environ['TMPDIR'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["False", "1", "1"], "")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "words", [("tag", "+a"), ("rm",), ("archive",), ("export",), ("resume",)], ids=lambda w: w[0]
)
def test_an_archive_is_not_written(
    mlx: Mlx, run: TrackedRun, tmp_path: Path, words: tuple[str, ...]
) -> None:
    mlx("archive", run.id, "--to", "kept", folder=tmp_path)
    result = mlx(words[0], "kept.run.mml", *words[1:], folder=tmp_path)
    assert (result.returncode, result.stderr) == (
        1,
        "error: `kept.run.mml` is an archive of a run, which is only read\n"
        "hint: `mlx archive kept.run.mml --extract` puts it below `runs`\n",
    )


@pytest.mark.parametrize(
    ("experiment", "run_id"),
    [
        ("../outside", "first"),
        ("/outside", "first"),
        ("alice", "../../first"),
        ("alice", "a/b"),
        (".git", "hooks"),
        ("alice", ".hidden"),
        ("", "first"),
        ("a\\b", "first"),
    ],
)
def test_a_name_that_leaves_the_root_is_refused(
    mlx: Mlx, run: TrackedRun, tmp_path: Path, experiment: str, run_id: str
) -> None:
    folder = RunFolder(tmp_path / "copy")
    shutil.copytree(run.folder.path, folder.path)
    changed = msgspec.structs.replace(read_run_file(folder), experiment=experiment, run_id=run_id)
    folder.run_file.write_bytes(encode_checked(changed))
    with writing(tmp_path / "bad.run.mml", "run", overwrite=False) as writer:
        writer.add_folder("run", folder.path)
    shutil.rmtree(tmp_path / "runs")
    before = sorted(tmp_path.rglob("*"))
    for words in (("archive", "bad.run.mml", "--extract"), ("show", "bad.run.mml")):
        result = mlx(*words, folder=tmp_path)
        assert (result.returncode, result.stdout) == (1, "")
        assert "cannot be the name of a run" in result.stderr
        assert sorted(tmp_path.rglob("*")) == before


def test_a_link_on_the_way_is_not_followed(mlx: Mlx, run: TrackedRun, tmp_path: Path) -> None:
    mlx("archive", run.id, "--to", "kept", folder=tmp_path)
    (tmp_path / "outside").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/alice").symlink_to(tmp_path / "outside")
    result = mlx("archive", "kept.run.mml", "--extract", "--root", "other", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "there is a link on the way" in result.stderr
    assert list((tmp_path / "outside").rglob("*.json")) == []


@pytest.mark.parametrize("kind", ["cut", "flipped", "another", "no run.json"])
def test_a_damaged_archive_leaves_nothing(
    mlx: Mlx, run: TrackedRun, tmp_path: Path, kind: str
) -> None:
    mlx("archive", run.id, "--to", "kept", folder=tmp_path)
    path = tmp_path / "kept.run.mml"
    content = path.read_bytes()
    if kind == "cut":
        path.write_bytes(content[:-100])
    elif kind == "flipped":
        # A byte of a record file, behind the header of its entry.
        at = content.index(b"ARROW1") + 3000
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    else:
        archive_kind = "exp" if kind == "another" else "run"
        with writing(path, archive_kind, overwrite=True) as writer:  # type: ignore[arg-type]
            writer.add("run/plan.json", b"{}")
    for words in (("archive", "kept.run.mml", "--extract"), ("show", "kept.run.mml")):
        result = mlx(*words, "--root", "other", folder=tmp_path)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("error: `kept.run.mml`")
    assert [path for path in tmp_path.glob("other/**/*") if path.is_file()] == []
