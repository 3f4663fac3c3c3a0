"""What the name of a run may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from specplan.errors import RunError
from specplan.results.catalogue import find_folders, meant
from specplan.results.locate import all_runs, find_run
from specplan.results.walk import walk
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IDS = ("20261121-100000", "20261121-100000.9", "20261121-100000.10")


@pytest.fixture
def root(tmp_path: Path, write_run_file: Callable[..., None]) -> Path:
    root = tmp_path / "runs"
    for run_id in IDS:
        write_run_file(RunFolder(root / "digits" / run_id))
    write_run_file(RunFolder(root / "diabetes" / "20261120-100000"))
    write_run_file(RunFolder(root / "alice" / "a" / "20261121-120000"))
    write_run_file(RunFolder(root / "alice" / "b" / "20261122-100000"))
    return root


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("digits", "digits/20261121-100000.10"),
        ("digits/20261121-100000.9", "digits/20261121-100000.9"),
        ("20261120-100000", "diabetes/20261120-100000"),
        ("alice", "alice/b/20261122-100000"),
    ],
)
def test_a_run_below_the_root(root: Path, name: str, found: str) -> None:
    assert find_run(name, root).path == root / found


def test_a_run_by_its_path(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert find_run(root / "digits" / IDS[0], elsewhere).path == root / "digits" / IDS[0]
    assert find_run(root / "digits", elsewhere).path == root / "digits" / IDS[2]


def test_runs_are_listed_oldest_first(root: Path) -> None:
    runs = [folder.path.name for folder in all_runs(root)]
    assert runs == ["20261121-120000", "20261122-100000", "20261120-100000", *IDS]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("digits", 3),
        ("digits/", 3),
        ("alice", 2),
        ("alice/a", 1),
        ("runs/alice", 2),
        ("runs", 6),
        (f"digits/{IDS[1]}", 1),
        (f"runs/digits/{IDS[1]}", 1),
        (IDS[1], 1),
        ("di*", 4),
        ("alice/[ab]", 2),
        ("*/20261121-*", 4),
    ],
)
def test_a_name_means_the_same_for_a_list_and_for_a_command(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    monkeypatch.chdir(root.parent)
    meaning = meant([name], root)
    listed = [found.key for found in walk(root) if meaning(found)]
    assert len(listed) == count
    found = find_folders([name], root)
    assert [folder.path.relative_to(root).as_posix() for folder in found] == listed


def test_runs_outside_of_the_root_are_found_by_their_path(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert len(find_folders([str(root / "digits")], elsewhere)) == 3
    assert len(find_folders([str(root / "digits" / IDS[0])], elsewhere)) == 1
    with pytest.raises(RunError, match="no run"):
        find_folders([str(root)], elsewhere)


def test_an_unknown_name_lists_experiments(root: Path) -> None:
    with pytest.raises(RunError) as error:
        find_run("digit", root)
    assert str(error.value) == (
        f"no run `digit`; experiments below `{root}`: `alice/a`, `alice/b`, `diabetes`, `digits`\n"
        "hint: did you mean `digits`?"
    )


def test_an_unknown_run_of_an_experiment_lists_its_runs(root: Path) -> None:
    with pytest.raises(RunError) as error:
        find_run("digits/x", root)
    runs = ", ".join(f"`digits/{run_id}`" for run_id in IDS)
    assert str(error.value) == f"no run `digits/x`; runs of `digits`: {runs}"


def test_a_run_id_of_two_experiments_is_refused(
    root: Path, write_run_file: Callable[..., None]
) -> None:
    write_run_file(RunFolder(root / "diabetes" / IDS[0]))
    with pytest.raises(RunError, match=r"several runs are called `20261121-100000`: `diabetes/"):
        find_run(IDS[0], root)


def test_an_empty_root_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        find_run("digits", tmp_path / "none")
    assert str(error.value) == f"no run `digits`: there are no runs below `{tmp_path / 'none'}`"


def test_a_root_that_is_an_experiment_says_so(root: Path) -> None:
    with pytest.raises(RunError) as error:
        find_folders([], root / "digits")
    assert str(error.value) == (
        f"there are no runs below `{root / 'digits'}`, which is an experiment itself\nhint: --root {root}"
    )
