"""FeatureSets of Parquet and CSV files: the rows that a source of a spec has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from specplan import Experiment, FeatureSet
from specplan.data.arrow_columns import read_columns

if TYPE_CHECKING:
    from pathlib import Path

VOLTAGE = np.arange(12.0).reshape(4, 3)
COLUMNS: dict[str, Any] = {
    "voltage": VOLTAGE.tolist(),
    "soh": [0.5, 0.25, 1.0, 2.0],
    "cycle": [1, 2, 3, 4],
    "cell": ["a", "a", "<b>", "ü"],
    "unread": [None, None, None, 1],
}
SHAPES: dict[str, tuple[int, ...]] = {"voltage": (3,), "soh": (), "cycle": (), "cell": ()}


@pytest.fixture(autouse=True)
def experiment() -> Experiment:
    return Experiment("files", registration_policy="overwrite")


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "cells.parquet"
    pa.parquet.write_table(pa.table(COLUMNS), path)
    return path


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "cells.csv"
    path.write_text("soh,cycle,cell,gap\n0.5,1,a,1\n0.25,2,7,\n", encoding="utf-8")
    return path


def test_a_parquet_file_has_the_rows_that_a_source_of_a_spec_has(parquet: Path) -> None:
    cells = FeatureSet.from_parquet("Cells", str(parquet), ["voltage", "cycle"], "soh", "cell")
    assert [str(name) for name in cells.column_names()] == [
        *("features.voltage.raw", "features.cycle.raw", "targets.soh.raw", "tags.cell.raw"),
    ]
    for name, rows in read_columns(parquet, "parquet", SHAPES).items():
        assert cells.columns[name].tolist() == rows.tolist()
        assert cells.columns[name].shape == rows.shape
    given = {name: COLUMNS[name] for name in SHAPES}
    assert cells == FeatureSet.from_dict("Cells", given, ["voltage", "cycle"], "soh", "cell")


def test_numbers_and_text_of_a_csv_file(csv: Path) -> None:
    cells = FeatureSet.from_csv("Cells", csv, ["cycle"], ["soh"], ["cell"])
    assert cells.columns["cycle"].dtype == np.int64
    assert cells.columns["soh"].tolist() == [0.5, 0.25]
    assert cells.columns["cell"].tolist() == ["a", "7"]
    assert "cell    tags      text     ()" in cells.summary()


def test_files_that_make_no_feature_set(parquet: Path, csv: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*did you mean `cells.parquet`\?"):
        FeatureSet.from_parquet("Cells", parquet.with_name("cell.parquet"), "voltage", "soh")
    with pytest.raises(
        ValueError, match=r"cells.parquet` has no column `volts`; it has: .*voltage"
    ):
        FeatureSet.from_parquet("Cells", parquet, "volts", "soh")
    with pytest.raises(ValueError, match=r"cells.csv` cannot be read as parquet"):
        FeatureSet.from_parquet("Cells", csv, "cycle", "soh")
    with pytest.raises(ValueError, match=r"cells.csv`.*gap.*null"):
        FeatureSet.from_csv("Cells", csv, ["cycle", "gap"], "soh")
    csv.write_bytes(b"a,b\n1,2,3\n")
    with pytest.raises(ValueError, match=r"cells.csv` cannot be read as csv: .*columns"):
        FeatureSet.from_csv("Cells", csv, "a", "b")
    with pytest.raises(ValueError, match="`soh` is"):
        FeatureSet.from_parquet("Cells", parquet, ["soh"], "soh")


def test_a_plan_reads_the_file_while_it_is_as_it_was(
    parquet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = FeatureSet.from_parquet("Cells", parquet, "voltage", "soh", "cell")
    assert cells.section()["source"] == {"use": "parquet", "path": str(parquet)}
    monkeypatch.chdir(parquet.parent)
    source = {"use": "parquet", "path": "cells.parquet"}
    assert cells.copy(label="Copy").section()["source"] == source
    cells.split_random({"train": 0.5, "test": 0.5}, seed=1)
    cells.fit_transform("MinMaxScaler", domain="features", keys="voltage", fit_to_split="train")
    assert cells.section()["source"] == source
    memory = {"use": "memory", "name": "Cells"}
    other = cells.copy(label="Cells")
    other.add_split(other.take([0, 1], "chosen"))
    assert other.section()["source"] == memory, "the file has no column for these rows"
    pa.parquet.write_table(pa.table(COLUMNS).slice(0, 3), parquet)
    assert cells.section()["source"] == memory
    parquet.unlink()
    assert cells.file is None
