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
    assert list(position.read()) == [
        {"timestamp": 1.0, "_ts": 1.0, "x": 1},
        {"timestamp": 2.0, "_ts": 2.0, "x": 5, "y": 4},
    ]
    assert exp.tracks.list_all() == ["robot/position", "robot_position"]
    with pytest.raises(ValueError, match="`_ts` is a finite number"):
        position.append(_ts=math.nan)
    with pytest.raises(TypeError, match="track robot/position.x is of type object"):
        position.append(x=object())


def test_fields_of_mappings_have_names_with_dots(exp: Experiment) -> None:
    track = exp.tracks("robot")
    track.append(_ts=1.0, camera={"pos": [0, 1], "lens": {"f": 35}})
    track.append(_ts=1.0, camera={"lens": {"f": 50}})
    entry = {"timestamp": 1.0, "_ts": 1.0, "camera.pos": [0, 1], "camera.lens.f": 50}
    assert track.list_entries() == [entry]
    projected = track.read(columns=["camera.lens.f"], format="json")["entries"]
    assert projected == [{"timestamp": 1.0, "_ts": 1.0, "camera.lens.f": 50}]


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
    assert (repr(part), repr(track.slice(7))) == ("<3 entries from 1.0 to 3.0>", "<0 entries>")


def test_the_time_of_the_entry_or_row_before(exp: Experiment) -> None:
    exp.tracks("pose").append(_ts=5.0, x=1)
    exp.tracks("camera").append(_ts=-1, width=640)
    exp.metrics("train").log(loss=0.5, _ts=-1)
    exp.metrics("train").log(loss=0.4, _ts=7.0)
    exp.tracks("pose").append(_ts=-1, y=2)
    exp.tracks.flush()
    assert exp.tracks("camera").read().findByTime(5.0)["width"] == 640
    assert [row["data"]["_ts"] for row in exp.metrics("train").read()["data"]] == [5.0, 7.0]
    assert [entry["timestamp"] for entry in exp.tracks("pose").flush().read()] == [5.0, 7.0]


def test_parts_of_a_track_in_other_forms(exp: Experiment) -> None:
    for stamp in range(4):
        exp.tracks("t").append(_ts=stamp, x=stamp, y=-stamp)
    read = exp.tracks("t").read(start_timestamp=1, end_timestamp=2, columns=["x"], format="json")
    assert read["count"] == 2
    assert read["entries"] == [{"timestamp": t, "_ts": t, "x": t} for t in (1.0, 2.0)]
    lines = exp.tracks("t").read(format="jsonl").splitlines()
    assert [json.loads(line)["timestamp"] for line in lines] == [0, 1, 2, 3]
    assert exp.tracks("t").read(format="parquet")[:4] == b"PAR1"
    assert exp.tracks("t").read(format="mocap") == exp.tracks("t").read(format="json")
    with pytest.raises(ValueError, match="no format `csv`"):
        exp.tracks("t").read(format="csv")


def test_exports(exp: Experiment, tmp_path: Path) -> None:
    track = exp.tracks("t")
    track.append(_ts=1, x=1.5).append(_ts=2, name="b")
    entries = [{"_ts": 1.0, "x": 1.5}, {"_ts": 2.0, "name": "b"}]
    assert json.loads(track.export(tmp_path / "t.json").read_bytes()) == entries
    lines = track.export(tmp_path / "t.txt", "jsonl").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == entries
    table = pq.read_table(track.export(tmp_path / "t.parquet"))
    assert table.to_pydict() == {"_ts": [1.0, 2.0], "x": [1.5, None], "name": [None, "b"]}
    with pytest.raises(
        ValueError, match="no format `csv`; known: `json`, `jsonl`, `parquet`, `mocap`"
    ):
        track.export(tmp_path / "t.csv")
    track.append(_ts=3, x="text")
    with pytest.raises(ValueError, match="the entries fit no table"):
        track.export(tmp_path / "t.parquet")
