"""The folder of a sweep: which run a point has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.store.sweep_file import SweepFile, read_sweep_file
from specplan.sweep import folder as module
from specplan.sweep.folder import SweepFolder, open_sweep

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def begun(root: Path, key: str) -> SweepFolder:
    return open_sweep(
        root,
        SweepFile(
            id="",
            experiment="study",
            key=key,
            created_at="2026-01-01T00:00:00.000Z",
            spec="spec.yaml",
            method="grid",
            metric=None,
            mode="min",
        ),
    )


def test_a_plan_has_one_run_in_all_sweeps_of_an_experiment(tmp_path: Path) -> None:
    first, second = begun(tmp_path, "a"), begun(tmp_path, "b")
    one = first.add({"x": 1}, "b3:one")
    assert first.add({"x": 1.0}, "b3:one").run == one.run
    assert second.add({"x": 1}, "b3:one").run != one.run  # that one is not written down yet
    first.add({"x": 2}, "b3:two")
    first.save()
    assert second.add({"x": 2}, "b3:two").run == first.file.points[2].run
    third = begun(tmp_path, "c")
    assert third.add({"x": 2}, "b3:two").run == first.file.points[2].run


def test_other_sweeps_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, sweep = begun(tmp_path, "a"), begun(tmp_path, "b")
    other.add({"x": -1}, "b3:other")
    other.save()
    read: list[Path] = []
    as_usual = read_sweep_file

    def counted(path: Path) -> SweepFile:
        read.append(path)
        return as_usual(path)

    monkeypatch.setattr(module, "read_sweep_file", counted)
    for index in range(50):
        sweep.add({"x": index}, f"b3:{index}")
    assert len(read) == 1
    other.add({"x": 99}, "b3:99")
    other.save()
    assert sweep.add({"x": 99}, "b3:99").run == other.file.points[-1].run
    assert len(read) == 2
