"""FeatureSets in files: everything of them comes back, and other programs read the rows."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from specplan import Experiment, FeatureSet
from specplan.archive.archive import writing
from specplan.data.feature_set_file import ABOUT, ROWS, described, differences
from specplan.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _own_context() -> None:
    Experiment("exp")


def cells(label: str = "Cells", rows: int = 40, **columns: Any) -> FeatureSet:
    data = {
        "voltage": RNG.standard_normal((rows, 5)),
        "grid": RNG.standard_normal((rows, 2, 3)).astype(np.float32),
        "soh": RNG.standard_normal(rows),
        "good": RNG.random(rows) > 0.5,
        "cell": np.array([f"zelle {row % 7}" for row in range(rows)]),
        **columns,
    }
    return FeatureSet.from_dict(label, data, ["voltage", "grid"], "soh", ["good", "cell"])


def assert_equal(again: FeatureSet, feature_set: FeatureSet) -> None:
    assert (again.label, again.id) == (feature_set.label, feature_set.id)
    assert again.column_names() == feature_set.column_names()
    for name in feature_set.column_names():
        rows, before = again.stored(name), feature_set.stored(name)
        assert rows.dtype.kind == before.dtype.kind
        np.testing.assert_array_equal(rows, before)
    assert list(again.uuids) == list(feature_set.uuids)
    assert again.available_splits == feature_set.available_splits
    for split, view in feature_set.splits.items():
        np.testing.assert_array_equal(again.get_split(split).indices, view.indices)
        assert again.get_split(split).columns_seen == view.columns_seen
    assert again.section() == feature_set.section()
    assert again.transforms == feature_set.transforms


def test_rows_splits_and_scalers_come_back(tmp_path: Path) -> None:
    feature_set = cells()
    feature_set.split_random({"train": 0.75, "test": 0.25}, seed=3)
    feature_set.fit_transform("StandardScaler", domain="features", fit_to_split="train")
    feature_set.fit_transform("MinMaxScaler", domain="targets")
    path = feature_set.save(tmp_path / "cells")
    assert path == tmp_path / "cells.fs.mml"
    again = FeatureSet.load(path, overwrite=True)
    assert_equal(again, feature_set)
    again.undo_last_transform("targets")
    assert "soh" not in again.transforms


def test_splits_that_were_made_by_hand_come_back(tmp_path: Path) -> None:
    feature_set = cells()
    feature_set.split_by_condition({"good": {"good": True}, "bad": {"good": False}})
    feature_set.add_split(feature_set.take([5, 3, 1], label="few").select(features="voltage"))
    again = FeatureSet.load(feature_set.save(tmp_path / "cells"), overwrite=True)
    assert_equal(again, feature_set)


def test_values_keep_their_bits(tmp_path: Path) -> None:
    odd = np.array([np.nan, -0.0, np.inf, 5e-324] * 10)
    feature_set = cells(soh=odd)
    again = FeatureSet.load(feature_set.save(tmp_path / "cells"), overwrite=True)
    assert again.columns["soh"].tobytes() == odd.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        again.columns["soh"][0] = 1


def test_the_label_of_a_loaded_one_is_registered(tmp_path: Path) -> None:
    path = cells().save(tmp_path / "cells")
    with pytest.raises(ValueError, match="`Cells` is already the label"):
        FeatureSet.load(path)
    Experiment("other", registration_policy="rename")
    assert [FeatureSet.load(path).label, FeatureSet.load(path).label] == ["Cells", "Cells_2"]


def test_a_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    feature_set = cells()
    path = feature_set.save(tmp_path / "cells")
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        feature_set.save(path)
    assert feature_set.save(path, overwrite=True) == path


def test_other_programs_read_the_rows(tmp_path: Path) -> None:
    feature_set = cells()
    with zipfile.ZipFile(feature_set.save(tmp_path / "cells")) as archive:
        archive.extractall(tmp_path / "out")
    frame = pl.read_ipc(tmp_path / "out" / ROWS)
    assert frame["features.voltage.raw"].to_numpy().shape == (40, 5)
    np.testing.assert_array_equal(frame["targets.soh.raw"].to_numpy(), feature_set.columns["soh"])


def test_a_scaler_of_the_program_is_refused_with_the_reason(tmp_path: Path) -> None:
    class Doubled:
        def fit(self, _rows: Any) -> Doubled:
            return self

        def transform(self, rows: Any) -> Any:
            return rows * 2

    feature_set = cells()
    feature_set.fit_transform(Doubled(), domain="features", keys="voltage")
    with pytest.raises(
        ValueError, match="FeatureSet `Cells` cannot be saved: Doubled is an object"
    ):
        feature_set.save(tmp_path / "cells")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_hold_together_is_refused(tmp_path: Path) -> None:
    from specplan.archive.archive import Archive

    path = cells().save(tmp_path / "cells")
    with Archive(path, "fs") as archive:
        contents = {name: archive.read(name) for name in archive.names}
    for name, before, after, said in [
        (ABOUT, b'"rows": 40', b'"rows": 41', "differ in columns or rows"),
        (ABOUT, b"features.grid.raw", b"features.mesh.raw", "differ in columns or rows"),
        (ABOUT, b"features.grid.raw", b"features.grid", "differ in columns or rows"),
        (ABOUT, b'"label": "Cells"', b'"label": "../Cells"', "cannot be a label"),
        (ABOUT, b'"label": "Cells"', b'"label": 5', "Expected `str`"),
        (ROWS, b"ARROW1", b"ARROW2", "`rows.arrow` cannot be read"),
    ]:
        broken = tmp_path / "broken.fs.mml"
        with writing(broken, "fs", overwrite=True) as writer:
            for each, content in contents.items():
                writer.add(each, content.replace(before, after) if each == name else content)
        with pytest.raises(ArchiveError, match=said):
            FeatureSet.load(broken)


def test_why_one_cannot_stand_for_another_is_said() -> None:
    feature_set = cells()
    feature_set.split_random({"train": 0.5, "test": 0.5}, seed=1)
    stored = described(feature_set)
    assert differences(stored, feature_set) == []
    other = cells("Other", rows=30, soh=np.zeros((30, 2), np.float32))
    other.split_random({"train": 0.5, "val": 0.5}, seed=1)
    assert sorted(differences(stored, other)) == [
        "column `targets.soh.raw` has rows of shape (2,), not ()",
        "column `targets.soh.raw` is float32, not float64",
        "it has 30 rows, not 40",
        "its splits are `train`, `val`, not `train`, `test`",
    ]
    few = FeatureSet.from_dict("Few", {"a": [1.0], "soh": [1.0]}, "a", "soh")
    assert (
        "it has no column `features.voltage.raw`, `features.grid.raw`"
        in differences(stored, few)[0]
    )
