"""What a FeatureSet gives, and from what it can be made."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specplan import Experiment, FeatureSet
from specplan.data.feature_set_state import restored, state_of


@pytest.fixture(autouse=True)
def context() -> None:
    Experiment("feature_sets", registration_policy="overwrite")


def cells(rows: int = 6) -> FeatureSet:
    data: dict[str, Any] = {
        "voltage": np.arange(rows * 3.0).reshape(rows, 3),
        "current": np.arange(rows * 3.0).reshape(rows, 3) + 100,
        "soh": np.linspace(1, 0, rows),
        "cell": np.arange(rows) % 2,
        "kind": ["chg", "dchg"] * (rows // 2),
    }
    return FeatureSet.from_dict("Cells", data, ["voltage", "current"], "soh", ["cell", "kind"])


def test_keys_shapes_and_types() -> None:
    found = cells()
    assert found.get_feature_keys() == ["features.voltage.raw", "features.current.raw"]
    assert found.get_target_keys(include_rep_suffix=False) == ["targets.soh"]
    assert found.get_tag_keys(include_domain_prefix=False, include_rep_suffix=False) == [
        "cell",
        "kind",
    ]
    assert found.get_all_keys()[-2:] == ["tags.kind.raw", "sample_uuids"]
    assert found.get_feature_shapes() == {"voltage": (3,), "current": (3,)}
    assert found.get_target_shapes(include_domain_prefix=True, include_rep_suffix=True) == {
        "targets.soh.raw": ()
    }
    assert found.get_tag_dtypes() == {"cell": "int64", "kind": "string"}
    assert found.n_samples == len(found) == 6


def test_values_in_every_format() -> None:
    found = cells()
    assert found.get_features().keys() == {"voltage", "current"}
    assert found.get_features("numpy").shape == (6, 2, 3)
    assert found.get_features("NP", features="voltage").shape == (6, 1, 3)
    assert found.get_targets(fmt="numpy").shape == (6, 1)
    assert found.get_tags(fmt="dict_numpy", tags=["cell"])["cell"].tolist() == [0, 1] * 3
    assert found.get_tags("list", tags="kind")[:2] == [["chg"], ["dchg"]]
    assert found.get_targets("dict_list")["soh"][0] == 1.0
    frame = found.get_data(features="voltage", targets="soh", tags="*", fmt="pandas")
    assert list(frame.columns) == [
        "features.voltage.raw", "targets.soh.raw", "tags.cell.raw", "tags.kind.raw"
    ]  # fmt: skip
    tensor = found.get_features("torch", features="voltage")
    assert tensor.dtype == torch.float32
    assert found.get_tags("dict_torch", tags="cell")["cell"].dtype == torch.int64


def test_columns_of_several_domains_by_pattern() -> None:
    found = cells()
    assert list(found.get_data(columns="*.c*")) == ["features.current.raw", "tags.cell.raw"]
    assert list(found.get_data(features="v*", include_domain_prefix=False)) == ["voltage.raw"]
    assert len(found.get_data()) == 5
    mixed = found.get_data(features="voltage", targets="soh", fmt="numpy")
    np.testing.assert_array_equal(mixed[:, :3], found.columns["voltage"])
    assert mixed.shape == (6, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda fs: fs.get_features(features="voltge"), "`voltge` is not among the features of FeatureSet `Cells`; "
         "they are: `voltage`, `current`; did you mean `voltage`?"),
        (lambda fs: fs.get_features("nump"), "there is no format `nump`; known: "),
        (lambda fs: fs.get_features(features="voltage", rep="scaled"), "`voltage` of FeatureSet `Cells` has no "
         "representation `scaled`; it has: `raw`"),
        (lambda fs: fs.get_tags("numpy"), "columns of numbers and of text make no one array: cell, kind"),
        (lambda fs: fs.get_tags("torch", tags="kind"), "a tensor holds numbers, not <U4"),
        (lambda fs: fs.get_data(columns="voltage"), "`voltage` of FeatureSet `Cells`: a column is DOMAIN.KEY"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call(cells())


def test_rows_have_ids_that_stay() -> None:
    found = cells()
    ids = found.get_sample_uuids()
    assert len(set(ids.tolist())) == 6
    assert found.take([2]).get_sample_uuids("list") == [ids[2]]
    assert found.copy().get_sample_uuids().tolist() == ids.tolist()


def test_a_copy_shares_arrays_or_not() -> None:
    found = cells()
    found.split_random({"train": 0.5, "test": 0.5})
    found.fit_transform("StandardScaler", domain="targets", fit_to_split="train")
    shared = found.copy()
    assert shared.label == "Cells_copy"
    assert shared.columns["voltage"] is found.columns["voltage"]
    assert shared.available_splits == []
    whole = found.copy(
        label="Cells", share_raw_data_buffer=False, restore_splits=True, restore_scalers=True
    )
    assert not np.shares_memory(whole.columns["voltage"], found.columns["voltage"])
    assert whole == found
    whole.undo_all_transforms()
    assert whole != found
    assert "soh" in found.transforms


def test_equal_means_labels_rows_splits_and_scalers() -> None:
    first, second = cells(), cells()
    assert first == second
    assert hash(first) == hash(second)
    first.split_random({"train": 0.5, "test": 0.5}, seed=1)
    assert first != second
    second.split_random({"train": 0.5, "test": 0.5}, seed=2)
    assert first != second
    assert first != "Cells"


def test_an_arrow_table_and_back() -> None:
    found = cells()
    table = found.to_arrow()
    assert table.num_rows == len(found)
    assert table.column_names[0] == "features.voltage.raw"
    again = FeatureSet.from_pyarrow_table("Cells", table)
    assert again == found
    assert again.get_sample_uuids().tolist() == found.get_sample_uuids().tolist()
    assert found.to_pandas()["tags.kind.raw"].tolist() == ["chg", "dchg"] * 3


def test_an_arrow_table_with_lists() -> None:
    table = pa.table(
        {
            "features.x.raw": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            "targets.y.raw": [0.5, 1.5],
            "tags.group.raw": ["a", "b"],
        }
    )
    found = FeatureSet.from_pyarrow_table("Arrow", table)
    assert found.get_feature_shapes() == {"x": (3,)}
    assert found.columns["group"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1.0]}, "`x` is no name of a column: it is DOMAIN.KEY.REPRESENTATION"),
        ({"targets.y.raw": [1.0]}, "FeatureSet `A` needs at least one column `features.KEY.raw`"),
        ({"features.x.raw": [[1.0], [1.0, 2.0]]}, "`FeatureSet `A``: column `features.x.raw`, row 1 has a list of 2"),
        ({"features.x.raw": [1.0, None]}, "`FeatureSet `A``: column `features.x.raw` has a null in row 1"),
    ],
)  # fmt: skip
def test_arrow_tables_that_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        FeatureSet.from_pyarrow_table("A", pa.table(columns))


def weather() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "temperature": np.arange(8.0),
            "power": np.arange(8.0) * 10,
            "site": ["B", "A"] * 4,
            "hour": [3, 0, 2, 1, 1, 2, 0, 3],
        }
    )


def test_a_data_frame_row_by_row() -> None:
    found = FeatureSet.from_pandas("W", weather(), "temperature", "power", tag_cols="site")
    assert len(found) == 8
    assert found.get_feature_shapes() == {"temperature": ()}
    assert found.columns["site"].tolist() == ["B", "A"] * 4


def test_a_data_frame_in_groups() -> None:
    found = FeatureSet.from_pandas(
        "W",
        weather(),
        ["temperature"],
        "power",
        group_by="site",
        sort_by="hour",
        tag_cols=["site", "hour"],
    )
    assert len(found) == 2
    assert found.get_feature_shapes() == {"temperature": (4,)}
    assert found.columns["site"].tolist() == ["B", "A"]
    assert found.columns["hour"].tolist() == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert found.columns["temperature"].tolist() == [[6, 4, 2, 0], [1, 3, 5, 7]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"df": {"temperature": [1]}}, TypeError, "FeatureSet `W` is made of a DataFrame, not dict"),
        ({"feature_cols": "temprature"}, ValueError, "FeatureSet `W`: the DataFrame has no column `temprature`; "
         "it has: `temperature`, `power`, `site`, `hour`; did you mean `temperature`?"),
        ({"df": weather()[:7], "group_by": "site"}, ValueError, "FeatureSet `W`: column `temperature` is ragged: "
         "row 1 has shape (3,), row 0 has (4,)"),
    ],
)  # fmt: skip
def test_data_frames_that_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    given: dict[str, Any] = {"df": weather(), "feature_cols": "temperature", "target_cols": "power"}
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        FeatureSet.from_pandas("W", **{**given, **arguments})


@given(
    st.lists(st.lists(st.floats(allow_nan=False), min_size=2, max_size=2), min_size=1, max_size=20)
)
def test_rows_as_lists_or_arrays_are_the_same(rows: list[list[float]]) -> None:
    data: dict[str, Any] = {
        "lists": rows,
        "arrays": [np.array(row) for row in rows],
        "array": np.array(rows),
    }
    found = FeatureSet.from_dict("Rows", data, list(data), [])
    for column in found.columns.values():
        np.testing.assert_array_equal(column, data["array"])


def test_splits_and_scalers_come_back_from_plain_values() -> None:
    found = cells(20)
    found.split_by_condition({"train": {"cell": 0}, "rest": {"cell": 1}})
    found.get_split("train").split_random({"fit": 0.5, "val": 0.5})
    found.fit_transform("PerSampleZeroStart", domain="features", keys="voltage")
    found.fit_transform("MinMaxScaler", domain="features", keys="voltage", fit_to_split="fit")
    found.fit_transform("PowerTransformer", domain="targets")
    again = restored("Cells", found.to_arrow(), state_of(found))
    assert again == found
    assert again.section() == found.section()
    again.undo_last_transform("features", "voltage")
    np.testing.assert_array_equal(
        again.get_features(features="voltage", rep="transformed")["voltage"][:, 0], 0
    )
