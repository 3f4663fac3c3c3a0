"""Some rows and columns of a FeatureSet, and splits that are made of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from specplan import Experiment, FeatureSet
from specplan.predicates import GTE, LT, In, Lambda


@pytest.fixture(autouse=True)
def context() -> None:
    Experiment("views", registration_policy="overwrite")


def cells(rows: int = 12) -> FeatureSet:
    data: dict[str, Any] = {
        "voltage": np.arange(rows * 2.0).reshape(rows, 2),
        "soh": np.arange(rows) * 1.0,
        "cell": np.arange(rows) % 3,
        "kind": ["chg", "dchg"] * (rows // 2),
    }
    return FeatureSet.from_dict("Cells", data, "voltage", "soh", ["cell", "kind"])


def test_conditions_on_several_columns_all_hold() -> None:
    found = cells().filter(
        conditions={
            "tags.kind.raw": "chg",
            "tags.cell": [0, 1],
            "soh": lambda soh: soh >= 4,
            "features.voltage.raw": Lambda("lambda x: x[0] < 18"),
        },
        label="some",
    )
    assert found.indices.tolist() == [4, 6]
    assert found.label == "some"
    assert found.get_targets("numpy").tolist() == [[4.0], [6.0]]


def test_a_view_of_a_view_counts_in_the_feature_set() -> None:
    healthy = cells().filter({"soh": GTE(4)})
    assert healthy.filter({"soh": LT(7)}).indices.tolist() == [4, 5, 6]
    assert healthy.take([1, -1]).indices.tolist() == [5, 11]


def test_conditions_that_no_row_meets() -> None:
    with pytest.warns(UserWarning, match="^no row of `Cells` meets the conditions on soh$"):
        found = cells().filter({"soh": -1.0})
    assert len(found) == 0


@pytest.mark.parametrize(
    ("conditions", "error", "message"),
    [
        ({"sho": 1}, ValueError, "FeatureSet `Cells` has no column `sho`; it has: `voltage`, `soh`, `cell`, `kind`; "
         "did you mean `soh`?"),
        ({"tags.sell": 1}, ValueError, "`tags.sell` is not among the columns of FeatureSet `Cells`; they are: `cell`, "
         "`kind`"),
        ({"soh": "x"}, ValueError, "the condition on `targets.soh.raw`: EQ('x') compares 'x' with rows of numbers"),
        ({"soh": None}, TypeError, "the condition on `targets.soh.raw`: a condition is a value, a list"),
        ([("soh", 1)], TypeError, "conditions are a mapping of columns to conditions, not list"),
        ({3: 1}, TypeError, "a condition is on a column, named by a str, not int"),
    ],
)  # fmt: skip
def test_conditions_that_are_refused(conditions: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        cells().filter(conditions)


def test_a_view_is_frozen_but_for_its_label() -> None:
    view = cells().take([0, 1])
    view.label = "first"
    assert view.label == "first"
    with pytest.raises(AttributeError, match="^`indices` of a view cannot be changed"):
        view.indices = np.array([3])
    with pytest.raises(ValueError, match="read-only"):
        view.indices[0] = 5


def test_sets_of_rows() -> None:
    found = cells()
    first, second = (
        found.filter({"cell": [0, 1]}),
        found.filter({"kind": "chg"}).take([5, 4, 3, 2, 1, 0]),
    )
    assert first.take_intersection(second).indices.tolist() == [0, 4, 6, 10]
    assert first.take_intersection(second, order="other").indices.tolist() == [10, 6, 4, 0]
    difference = first.take_difference(second)
    assert difference.indices.tolist() == [1, 3, 7, 9]
    assert difference.is_disjoint_with(second)
    assert not first.is_disjoint_with(second)
    assert not first.is_disjoint_with(found.copy().take([0]))
    with pytest.raises(
        ValueError, match="^`O_view` has rows of FeatureSet `O`, and `Cells_view` of `Cells`$"
    ):
        first.take_difference(found.copy(label="O").take([0]))


def test_rows_by_id_and_position() -> None:
    found = cells()
    ids = found.get_sample_uuids("list")
    assert found.take_sample_uuids([ids[3], ids[1]]).indices.tolist() == [3, 1]
    with pytest.raises(ValueError, match="^`Cells` has no row with the id 'no'$"):
        found.take_sample_uuids(["no"])
    with pytest.raises(IndexError, match="^`Cells` has 12 rows; there is none at 12$"):
        found.take([12])
    with pytest.raises(TypeError, match="^take needs a list of integers, not float64"):
        found.take([0.5])  # type: ignore[list-item]


def test_some_of_the_columns() -> None:
    found = cells()
    view = found.select(features="voltage.*", targets="soh")
    assert view.columns == ["features.voltage.raw", "targets.soh.raw"]
    assert view.take([0]).columns == view.columns
    with pytest.raises(ValueError, match="^`cell` is not among the tags"):
        view.get_tags(tags="cell")
    assert found.select(rep="raw").columns == found.take([0]).columns


def test_a_view_becomes_a_feature_set_of_its_own() -> None:
    made = cells().filter({"kind": "chg"}).to_featureset("Charge")
    assert len(made) == 6
    assert made.columns["soh"].tolist() == [0, 2, 4, 6, 8, 10]
    assert made.get_target_keys() == ["targets.soh.raw"]


def test_views_show_themselves() -> None:
    assert repr(cells().take([0, 1], "few").select(targets="soh", label="t")) == (
        "FeatureSetView(source='Cells', label='t', rows=2, columns=['targets.soh.raw'])"
    )


def test_splits_by_conditions_are_written_down_where_they_can_be() -> None:
    found = cells()
    views = found.split_by_condition(
        {"train": {"tags.cell.raw": In([0, 1]), "soh": LT(9)}, "test": {"cell": 2}},
        return_views=True,
    )
    assert views is not None
    assert {name: len(view) for name, view in views.items()} == {"train": 6, "test": 4}
    assert found.section()["splits"] == {
        "use": "condition",
        "splits": {
            "train": {"cell": {"in": [0, 1]}, "soh": {"lt": 9}},
            "test": {"cell": {"eq": 2}},
        },
    }
    other = cells()
    other.split_by_condition({"train": {"cell": lambda cell: cell < 2}})
    assert other.section()["splits"] == {"use": "rows", "splits": {"train": "split.train"}}
    assert other.table["split.train"].tolist() == [0, 1, -1, 2, 3, -1, 4, 5, -1, 6, 7, -1]


def test_splits_that_overlap_are_told_of() -> None:
    found = cells()
    with pytest.warns(UserWarning, match="^2 rows are in both splits `low` and `even`$"):
        found.split_by_condition({"low": {"soh": LT(4)}, "even": {"kind": "chg"}})
    assert found.section()["splits"]["use"] == "rows"


def test_splits_inside_a_split() -> None:
    found = cells()
    found.split_by_condition({"source": {"cell": [0, 1]}, "test": {"cell": 2}})
    found["source"].split_random({"train": 0.75, "val": 0.25}, stratify_by="cell", seed=1)
    assert {name: len(view) for name, view in found.splits.items()} == {
        "source": 8, "test": 4, "train": 6, "val": 2,
    }  # fmt: skip
    inside = found["source"]
    assert len(inside.take_intersection(found["train"])) == 6
    assert found["train"].is_disjoint_with(found["val"])
    assert found.section()["splits"]["use"] == "rows"


def test_the_order_of_a_random_split_is_that_of_numpy() -> None:
    found = cells()
    found.split_random({"train": 0.75, "test": 0.25}, seed=13)
    order = np.arange(12)
    np.random.default_rng(13).shuffle(order)
    assert found["train"].indices.tolist() == order[:9].tolist()
    assert found["test"].indices.tolist() == order[9:].tolist()


def test_groups_differ_with_the_seed() -> None:
    seen = set()
    for seed in range(6):
        found = cells()
        found.split_random({"train": 2 / 3, "test": 1 / 3}, seed=seed, group_by="tags.cell.raw")
        assert found["train"].is_disjoint_with(found["test"])
        assert len(set(found["test"].get_tags(tags="cell")["cell"].tolist())) == 1
        seen.add(int(found["test"].get_tags(tags="cell")["cell"][0]))
    assert len(seen) > 1


def test_strict_strata_have_as_many_rows_as_the_rarest() -> None:
    label = np.array(["often"] * 20 + ["rare"] * 10)
    found = FeatureSet.from_dict("S", {"x": np.arange(30.0), "label": label}, "x", [], "label")
    found.split_random(
        {"train": 0.8, "test": 0.2}, seed=3, stratify_by="label", strict_stratification=True
    )
    for name, rows in (("train", 8), ("test", 2)):
        labels = found[name].get_tags(tags="label")["label"].tolist()
        assert {label: labels.count(label) for label in labels} == {"often": rows, "rare": rows}
    assert found.section()["splits"]["use"] == "rows"


def test_splits_by_hand() -> None:
    found = cells()
    found.add_split(found.filter({"cell": 0}, label="train"))
    assert found.available_splits == ["train"]
    assert found.n_splits == 1
    with pytest.raises(ValueError, match="^FeatureSet `Cells` has the splits `train` already"):
        found.add_split(found.take([0], "train"))
    with pytest.raises(ValueError, match="^split `none` of `Cells` has no rows$"):
        found.add_split(found.take([], "none"))
    with pytest.raises(ValueError, match="^'a.b' cannot be a label"):
        found.add_split(found.take([0], "a.b"))
    with pytest.raises(ValueError, match="^`x` has rows of FeatureSet `Other`, not of `Cells`$"):
        found.add_split(found.copy(label="Other").take([0], "x"))
    with pytest.raises(KeyError, match="has no split `val`; available: `train`"):
        found["val"]
    found.clear_splits()
    assert found.splits == {}
    assert "splits" not in found.section()


def test_views_without_registration() -> None:
    found = cells()
    views = found.split_random({"a": 0.5, "b": 0.5}, return_views=True, register=False)
    assert views is not None
    assert {name: len(view) for name, view in views.items()} == {"a": 6, "b": 6}
    assert found.available_splits == []
