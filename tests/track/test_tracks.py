"""Values over time by topic."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from specplan import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def exp(tmp_path: Path) -> Iterator[Experiment]:
    with Experiment("alice/p/tracks", dash_root=tmp_path).run as started:
        yield started


def test_entries_of_one_time_are_one_and_in_order(exp: Experiment) -> None:
    position = exp.tracks("robot/position")
    position.append(_ts=2.0, x=3).append(_ts=1.0, x=1).append(_ts=2.0, y=4).append(_ts=2.0, x=5)
    exp.tracks("robot_position").append(x=0)
    assert list(position.read()) == [{"_ts": 1.0, "x": 1}, {"_ts": 2.0, "x": 5, "y": 4}]
    assert exp.tracks.list_all() == ["robot/position", "robot_position"]
    with pytest.raises(ValueError, match="`_ts` is a finite number"):
        position.append(_ts=math.nan)
    with pytest.raises(TypeError, match="track robot/position.x is of type object"):
        position.append(x=object())


def test_slices_and_the_last_entry_not_after_a_time(exp: Experiment) -> None:
    track = exp.tracks("t")
    for stamp in range(5):
        track.append(_ts=stamp, value=stamp * 10)
    part = track.slice(1, 3)
    assert [entry["value"] for entry in part] == [10, 20, 30]
    assert part.findByTime(2.9)["value"] == 20
    assert [entry["value"] for entry in part.findByTime([1, 99])] == [10, 30]
    with pytest.raises(KeyError, match="no entry at or before 0.5; the first is at 1.0"):
        part.findByTime(0.5)
    assert len(track.slice(7)) == 0


def test_exports(exp: Experiment, tmp_path: Path) -> None:
    track = exp.tracks("t")
    track.append(_ts=1, x=1.5).append(_ts=2, name="b")
    entries = [{"_ts": 1.0, "x": 1.5}, {"_ts": 2.0, "name": "b"}]
    assert json.loads(track.export(tmp_path / "t.json").read_bytes()) == entries
    lines = track.export(tmp_path / "t.txt", "jsonl").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == entries
    table = pq.read_table(track.export(tmp_path / "t.parquet"))
    assert table.to_pydict() == {"_ts": [1.0, 2.0], "x": [1.5, None], "name": [None, "b"]}
    with pytest.raises(ValueError, match="no format `csv`; known: `json`, `jsonl`, `parquet`"):
        track.export(tmp_path / "t.csv")
    track.append(_ts=3, x="text")
    with pytest.raises(ValueError, match="the entries fit no table"):
        track.export(tmp_path / "t.parquet")
