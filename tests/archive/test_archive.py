"""Archives: what is written is read, by others too; what is wrong is refused, and nothing is written for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specplan.archive.archive import Archive, archive_path, writing
from specplan.errors import ArchiveError
from tests.archive.hostile_archives import GOOD, HOSTILE, Hostile, archive


def write(path: Path, contents: dict[str, bytes], *, overwrite: bool = False) -> None:
    with writing(path, "fs", overwrite=overwrite) as writer:
        for name, content in contents.items():
            writer.add(name, content)


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "a.fs.mml"
    path.write_bytes(content)
    return path


def read_all(path: Path) -> None:
    with Archive(path, "fs") as opened:
        for name in opened.names:
            opened.read(name)


NAMES = st.lists(
    st.text(st.sampled_from("ab-Zé0"), min_size=1, max_size=8), unique_by=str.casefold, max_size=5
)


@settings(max_examples=50)
@given(NAMES, st.binary(max_size=100))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], content: bytes
) -> None:
    path = tmp_path_factory.mktemp("archive") / "a.fs.mml"
    contents = {f"folder/{name}": content + name.encode() for name in names}
    write(path, contents)
    with Archive(path, "fs") as opened:
        assert {name: opened.read(name) for name in opened.names} == contents
        assert opened.below("folder") == names


def test_an_archive_of_the_same_content_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, {"x": b"1", "y": b"2"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_programs_read_it(tmp_path: Path) -> None:
    contents = {"a.json": b"[1]", "b/c.bin": bytes(range(256)) * 5000}
    write(tmp_path / "a.fs.mml", contents)
    with zipfile.ZipFile(tmp_path / "a.fs.mml") as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in contents} == contents


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.fs.mml"
    write(path, {"x": b"1"})
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="is there already; overwrite=True replaces it"):
        write(path, {"x": b"2"})
    assert path.read_bytes() == before
    with Archive(path, "fs") as opened:
        write(path, {"x": b"2"}, overwrite=True)
        assert opened.read("x") == b"1"
    with Archive(path, "fs") as opened:
        assert opened.read("x") == b"2"


def test_nothing_is_left_of_an_archive_that_could_not_be_finished(tmp_path: Path) -> None:
    with pytest.raises(
        ArchiveError, match="'A' is there beside 'a', which is the same file elsewhere"
    ):
        write(tmp_path / "a.fs.mml", {"a": b"1", "A": b"2"})
    with pytest.raises(ArchiveError, match="'../a' cannot be the name of an entry"):
        write(tmp_path / "a.fs.mml", {"../a": b"1"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_goes_in_and_comes_out(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/a.txt").write_text("a")
    (tmp_path / "in/deep/b.txt").write_text("b")
    with writing(tmp_path / "a.fs.mml", "fs", overwrite=False) as writer:
        writer.add_folder("kept", tmp_path / "in")
    with Archive(tmp_path / "a.fs.mml", "fs") as opened:
        opened.extract("kept", tmp_path / "out")
        with pytest.raises(FileExistsError, match="is there already"):
            opened.extract("kept", tmp_path / "out")
    assert (tmp_path / "out/a.txt").read_text() == "a"
    assert (tmp_path / "out/deep/b.txt").read_text() == "b"


@pytest.mark.parametrize(
    ("given_path", "path"),
    [("a", "a.exp.mml"), ("a.exp.mml", "a.exp.mml"), ("a.v2", "a.v2.exp.mml")],
)
def test_the_suffix_says_what_it_is(given_path: str, path: str) -> None:
    assert archive_path(given_path, "exp") == Path(path)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_a_hostile_archive_is_refused(
    tmp_path: Path, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deep/er"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    path = saved(folder, hostile.content())
    before = sorted(tmp_path.rglob("*"))
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(ArchiveError, match="cannot be read: ") as refused:
            Archive(path, "fs")
        assert time.process_time() - started < 1
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert hostile.said in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_changed_entry_is_refused_before_a_file_appears(tmp_path: Path) -> None:
    path = saved(tmp_path, archive(("in/a", b"1"), digests={"in/a": "0" * 64}))
    with Archive(path, "fs") as opened:
        with pytest.raises(ArchiveError, match="is damaged: `in/a` is not what its digest says"):
            opened.read("in/a")
        with pytest.raises(ArchiveError, match="is damaged"):
            opened.extract("in", tmp_path / "out")
    assert [each.name for each in tmp_path.iterdir()] == ["a.fs.mml"]


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_no_changed_byte_goes_unnoticed(tmp_path: Path, bit: int) -> None:
    for place in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[place] ^= bit
        path = saved(tmp_path, bytes(changed))
        with pytest.raises(ArchiveError):
            read_all(path)


def test_what_is_asked_for_and_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Archive(tmp_path / "none.fs.mml", "fs")
    with Archive(saved(tmp_path, GOOD), "fs") as opened:
        with pytest.raises(ArchiveError, match="has no `c.json`"):
            opened.read("c.json")
        with pytest.raises(ArchiveError, match="`a.json` cannot be read: Expected `object`"):
            opened.read_json("a.json", dict)


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = saved(tmp_path, archive(("in/a", b"1")))
    (tmp_path / "out").symlink_to(outside)
    with Archive(path, "fs") as opened, pytest.raises(FileExistsError):
        opened.extract("in", tmp_path / "out")
    assert list(outside.iterdir()) == []


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    path = saved(tmp_path, GOOD)
    program = (
        "import sys, pathlib; from specplan.archive.archive import Archive;"
        "Archive(pathlib.Path(sys.argv[1]), 'fs').read('a.json');"
        "print({'torch', 'pickle'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, os.fspath(path)], check=True, capture_output=True, text=True
    )
    assert "torch" not in ran.stdout
