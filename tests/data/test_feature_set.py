from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from specplan import Experiment, FeatureSet
from specplan.data.context import active_context


@pytest.fixture(autouse=True)
def context() -> None:
    Experiment("feature_sets", registration_policy="overwrite")


def feature_set(rows: int = 10) -> FeatureSet:
    data: dict[str, Any] = {
        "x": np.arange(rows * 2.0).reshape(rows, 2),
        "y": np.arange(rows),
        "site": ["a"] * rows,
    }
    return FeatureSet.from_dict("Sensor", data, "x", ["y"], tag_keys="site")


def sizes(found: FeatureSet) -> dict[str, int]:
    return {name: len(view) for name, view in found.splits.items()}


def test_columns_come_from_arrays_and_lists_of_rows() -> None:
    found = FeatureSet.from_dict(
        "S",
        {"x": [np.zeros((2, 3))] * 5, "y": [1, 2, 3, 4, 5]},
        feature_keys=["x"],
        target_keys="y",
    )
    assert len(found) == 5
    assert found.get_feature_shapes() == {"x": (2, 3)}
    assert {name: column.shape for name, column in found.columns.items()} == {
        "x": (5, 2, 3),
        "y": (5,),
    }


def test_what_was_passed_in_can_change_later() -> None:
    x = np.zeros((3, 1))
    found = FeatureSet.from_dict("S", {"x": x, "y": [0, 0, 0]}, "x", "y")
    x[:] = 1
    assert not found.columns["x"].any()
    with pytest.raises(ValueError, match="read-only"):
        found.columns["x"][:] = 1


@pytest.mark.parametrize(
    ("data", "keys", "message"),
    [
        (
            {"x": [1, 2], "y": [1]},
            ("x", "y"),
            "FeatureSet `S`: the columns differ in length: `x` 2, `y` 1",
        ),
        (
            {"x": [[1, 2], [3]], "y": [1, 2]},
            ("x", "y"),
            "FeatureSet `S`: column `x` is ragged: row 1 has shape (1,), row 0 has (2,)",
        ),
        (
            {"x": [[1, [2, 3]]], "y": [1]},
            ("x", "y"),
            "FeatureSet `S`: column `x` is ragged within row 0",
        ),
        (
            {"voltage": [1], "y": [1]},
            ("voltge", "y"),
            "FeatureSet `S`: there is no key `voltge` in the data; it has: `voltage`, `y`; "
            "did you mean `voltage`?",
        ),
        (
            {"x": [1], "y": [1]},
            (["x", "y"], "y"),
            "FeatureSet `S`: `y` is named twice, in features and in targets",
        ),
        ({"x": [], "y": []}, ("x", "y"), "FeatureSet `S`: column `x` has no rows"),
        ({"x": [1], "y": [1]}, ([], "y"), "FeatureSet `S` needs at least one feature key"),
        (
            {"x": [None], "y": [1]},
            ("x", "y"),
            "FeatureSet `S`: column `x` holds objects: None in row 0; it can hold numbers, booleans or text",
        ),
    ],
)
def test_data_that_is_no_table_is_refused(
    data: dict[str, Any], keys: tuple[Any, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FeatureSet.from_dict("S", data, *keys)


def test_a_label_that_a_spec_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^'a/b' cannot be a label: letters, digits"):
        FeatureSet.from_dict("a/b", {"x": [1]}, "x", [])


def test_spaces_of_a_label_are_underscores() -> None:
    with pytest.warns(UserWarning, match="^'Data A' is labelled `Data_A`: labels have no spaces$"):
        made = FeatureSet.from_dict("Data A", {"x": [1]}, "x", [])
    assert made.label == "Data_A"
    assert active_context().labels()[-1] == "Data_A"


def test_a_random_split_cuts_by_largest_remainder() -> None:
    found = feature_set(11)
    found.split_random({"train": 0.7, "val": 0.15, "test": 0.15}, seed=1)
    assert found.available_splits == ["train", "val", "test"]
    assert sizes(found) == {"train": 8, "val": 2, "test": 1}


@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        ({"train": 0.5, "test": 0.4}, "the ratios of the splits must sum to 1, not 0.9"),
        ({"train": 0.99, "test": 0.01}, "FeatureSet `Sensor`: split `test` gets 0 of 10 rows"),
        ({"train": 1.5, "test": -0.5}, "split `train`: a ratio is above 0 and at most 1, not 1.5"),
    ],
)
def test_ratios_that_make_no_splits_are_refused(ratios: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        feature_set().split_random(ratios, seed=1)


def test_groups_stay_together_and_strata_keep_their_shares() -> None:
    found = feature_set()
    found.split_random({"train": 0.5, "test": 0.5}, seed=1, group_by="y")
    assert sizes(found) == {"train": 5, "test": 5}
    strata = FeatureSet.from_dict("Strata", {"x": list(range(8)), "y": [0, 0, 1, 1] * 2}, "x", "y")
    strata.split_random({"train": 0.5, "test": 0.5}, stratify_by=["y"])
    assert sizes(strata) == {"train": 4, "test": 4}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"group_by": "sites"}, "group_by: FeatureSet `Sensor` has no key `sites`; it has: "
         "`x`, `y`, `site`; did you mean `site`?"),
        ({"stratify_by": "x"}, "stratify_by: `x` has rows of float64 (2,); it needs text, integers or "
         "booleans, one a row"),
        ({"group_by": "site", "stratify_by": "y"}, "`group_by` and `stratify_by` cannot be had together"),
        ({"stratify_by": "y"}, "FeatureSet `Sensor`: only 1 row with `y` 0, too few for 2 splits\n"
         "hint: `stratify_by` is for classes of which each split can have a row; 10 of 10 values have as few"),
    ],
)  # fmt: skip
def test_columns_that_make_no_groups_or_strata(keys: dict[str, Any], message: str) -> None:
    found = feature_set()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        found.split_random({"train": 0.5, "test": 0.5}, 1, **keys)
    assert found.available_splits == []


def test_a_feature_set_is_split_once() -> None:
    found = feature_set()
    found.split_random({"train": 0.5, "test": 0.5})
    with pytest.raises(ValueError, match=r"^FeatureSet `Sensor` has the splits `train` already"):
        found.split_random({"train": 0.5, "rest": 0.5})


def test_a_reference_names_columns_of_their_kind() -> None:
    found = feature_set()
    assert found.reference().features == ("x",)
    assert found.reference(targets=[]).targets == ()
    assert repr(found.reference("x", "y")) == (
        "FeatureSetReference('Sensor', features=['x'], targets=['y'], tags=['site'])"
    )
    with pytest.raises(
        ValueError,
        match=r"^`y` is not among the features of FeatureSet `Sensor`; they are: `x`",
    ):
        found.reference(features="y")


def test_it_shows_itself(capsys: pytest.CaptureFixture[str]) -> None:
    found = feature_set()
    found.split_random({"train": 0.8, "test": 0.2})
    found.visualize()
    assert capsys.readouterr().out == (
        "Sensor: 10 rows\n"
        "  column  kind      dtype    row shape\n"
        "  x       features  float64  (2,)\n"
        "  y       targets   int64    ()\n"
        "  site    tags      text     ()\n"
        "  split  rows\n"
        "  train  8\n"
        "  test   2\n"
    )
    assert repr(found) == (
        "FeatureSet(label='Sensor', rows=10, features=['x'], targets=['y'], tags=['site'], "
        "splits=['train', 'test'])"
    )


@pytest.mark.parametrize(
    ("ratios", "seed", "error", "message"),
    [
        ([0.5, 0.5], 1, TypeError, "ratios is a mapping of split to share, not list"),
        ({"train": "1"}, 1, TypeError, "the ratio of split `train` is a number, not str"),
        ({"train": 1.0}, "1", TypeError, "the seed of a split is an int, not str"),
        ({"train": 1.0}, -1, ValueError, "the seed of a split is at least 0, not -1"),
    ],
)
def test_a_split_is_checked_when_it_is_made(
    ratios: Any, seed: Any, error: type[Exception], message: str
) -> None:
    found = feature_set()
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        found.split_random(ratios, seed)
    assert found.available_splits == []


@pytest.mark.parametrize(
    ("data", "feature_keys", "message"),
    [
        (None, "x", "FeatureSet `F`: data is a mapping of keys to rows, not NoneType"),
        ({"x": 3}, "x", "FeatureSet `F`: column `x` is a list, not int"),
        ({1: [2.0]}, [1], "the key of a column is a str, not int"),
    ],
)
def test_data_of_another_type_is_refused(data: Any, feature_keys: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        FeatureSet.from_dict("F", data, feature_keys, [])


def test_splits_that_share_rows_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Experiment("overlaps")
    made = FeatureSet.from_dict("S", {"x": list(range(10)), "y": list(range(10))}, "x", "y")
    made.split_random({"source": 0.8, "test": 0.2}, seed=1)
    made.visualize(show_overlaps=True)
    assert "in both" not in capsys.readouterr().out
    made.get_split("source").split_random({"train": 0.5, "val": 0.5}, seed=1)
    made.visualize(show_overlaps=True)
    shown = capsys.readouterr().out
    assert shown.endswith("in both           rows\n  source and train  4\n  source and val    4\n")
    assert made.overlaps() == [("source", "train", 4), ("source", "val", 4)]
