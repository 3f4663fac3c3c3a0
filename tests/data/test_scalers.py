"""Scalers: what they compute, how they are named, and how a FeatureSet keeps them."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import sklearn.preprocessing
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from specplan import Experiment, FeatureSet, Scaler, supported_scalers
from specplan.components import COMPONENTS
from specplan.data.scalers import restored
from specplan.data.scaling import SKLEARN
from specplan.scalers import (
    Absolute,
    Negate,
    PerSampleMinMaxScaler,
    PerSampleZeroStart,
    SegmentedScaler,
)

ROWS = np.random.default_rng(3).normal(2, 3, (40, 6))


@pytest.fixture(autouse=True)
def context() -> None:
    Experiment("scalers", registration_policy="overwrite")


def cells() -> FeatureSet:
    data = {"voltage": ROWS, "soh": ROWS[:, 0] * 7, "cell": np.arange(40) % 4}
    found = FeatureSet.from_dict("Cells", data, "voltage", "soh", "cell")
    found.split_random({"train": 0.75, "test": 0.25}, seed=5)
    return found


def raw(found: FeatureSet, split: str, key: str = "voltage") -> Any:
    return found[split].get_data(columns=f"*.{key}.raw", include_domain_prefix=False)[f"{key}.raw"]


def transformed(found: FeatureSet, split: str, key: str = "voltage") -> Any:
    names: dict[str, Any] = {"include_domain_prefix": False, "include_rep_suffix": False}
    return found[split].get_data(columns=f"*.{key}.transformed", **names)[key]


@pytest.mark.parametrize("use", SKLEARN)
def test_the_numbers_are_those_of_scikit_learn(use: str) -> None:
    theirs = getattr(sklearn.preprocessing, SKLEARN[use])
    given = {"n_quantiles": 20} if use == "quantile" else {}
    ours, other = Scaler(SKLEARN[use], given), theirs(**given)
    expected = other.fit(ROWS[:30]).transform(ROWS)
    found = ours.fit(ROWS[:30]).transform(ROWS)
    np.testing.assert_array_equal(found, expected)
    if hasattr(other, "inverse_transform"):
        np.testing.assert_array_equal(
            ours.inverse_transform(found), other.inverse_transform(expected)
        )
    again = restored(ours.component or {}, json.loads(json.dumps(ours.scaling.state)))
    np.testing.assert_array_equal(again.transform(ROWS), expected)


@pytest.mark.parametrize("name", supported_scalers)
def test_a_scaler_by_name_class_or_instance(name: str) -> None:
    if name == "SegmentedScaler":
        return
    own = {
        cls.__name__: cls for cls in (Absolute, Negate, PerSampleMinMaxScaler, PerSampleZeroStart)
    }
    cls = own.get(name) or getattr(sklearn.preprocessing, name)
    found = [Scaler(name.upper()), Scaler(cls), Scaler(cls()), Scaler(Scaler(name))]
    assert all(scaler == found[0] for scaler in found)
    assert {scaler.scaler_name for scaler in found} == {name}
    assert found[0].component == {"use": found[0].component and found[0].component["use"]}


def test_every_scaler_of_a_spec_has_a_name() -> None:
    given = {"segmented": {"boundaries": [0, 2], "scaler": "standard"}}
    names = {Scaler(use, given.get(use)).scaler_name for use in COMPONENTS["scaler"]}
    assert names == set(supported_scalers)


@given(arrays.arrays(np.float64, (5, 4), elements=st.floats(-1e6, 1e6)))
def test_scalers_of_single_rows_are_taken_back(rows: Any) -> None:
    for scaler in (Absolute(), Negate(), PerSampleZeroStart()):
        scaled = scaler.transform(rows)
        np.testing.assert_allclose(scaler.inverse_transform(scaled), rows, atol=1e-6)
    between = PerSampleMinMaxScaler((-1, 1))
    scaled = between.transform(rows)
    assert scaled.min() >= -1 - 1e-12
    assert scaled.max() <= 1 + 1e-12
    np.testing.assert_allclose(between.inverse_transform(scaled), rows, atol=1e-3)
    np.testing.assert_array_equal(PerSampleZeroStart().transform(rows)[:, 0], 0)
    np.testing.assert_array_equal(Absolute().transform(rows), np.abs(rows))


def test_rows_that_were_not_scaled_are_not_taken_back() -> None:
    scaler = Scaler("PerSampleZeroStart").fit(ROWS)
    scaler.transform(ROWS)
    message = "PerSampleZeroStart is taken back for the 40 rows that it scaled last, not for 3: "
    with pytest.raises(ValueError, match=f"^{message}"):
        scaler.inverse_transform(ROWS[:3])
    with pytest.raises(RuntimeError, match="^Negate was not fitted; call `fit` first$"):
        Scaler("Negate").transform(ROWS)
    with pytest.raises(ValueError, match="^Normalizer cannot be taken back"):
        Scaler("Normalizer").fit(ROWS).inverse_transform(ROWS)


def test_segments_have_scalers_of_their_own() -> None:
    found = Scaler(SegmentedScaler((0, 2, 6), "MinMaxScaler", {"feature_range": [-1, 1]})).fit(ROWS)
    first, second = (sklearn.preprocessing.MinMaxScaler((-1, 1)) for _ in range(2))
    expected = np.hstack([first.fit_transform(ROWS[:, :2]), second.fit_transform(ROWS[:, 2:])])
    np.testing.assert_array_equal(found.transform(ROWS), expected)
    np.testing.assert_allclose(found.inverse_transform(expected), ROWS)
    assert found.component == {
        "use": "segmented",
        "boundaries": [0, 2, 6],
        "scaler": "min_max",
        "arguments": {"feature_range": [-1.0, 1.0]},
    }


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Scaler("MinMax"), ValueError, "there is no scaler `MinMax`; known: "),
        (lambda: Scaler("MinMaxScaler", {"range": 1}), TypeError, "scaler `min_max` has no argument `range`"),
        (lambda: Scaler("MinMaxScaler", {"feature_range": (1, 0)}), ValueError,
         "scaler `min_max`: `feature_range`: the range [1, 0] does not ascend"),
        (lambda: Scaler(3), TypeError, "a scaler is a name, a class or an object with `fit` and `transform`, not int"),
        (lambda: SegmentedScaler((1, 2), "Negate"), ValueError, "scaler `segmented`: `boundaries`: [1, 2] do not ascend from 0"),
        (lambda: SegmentedScaler((0, 2, 2), "Negate"), ValueError, "scaler `segmented`: `boundaries`: [0, 2, 2] do not"),
        (lambda: SegmentedScaler((0, 2), object()), TypeError, "a scaler is a name"),
        (lambda: Scaler("StandardScaler").fit(ROWS[:, 0]), ValueError, "a scaler takes rows of shape (rows, elements), not (40,)"),
    ],
)  # fmt: skip
def test_what_is_no_scaler(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        make()


def test_a_scaler_is_fitted_on_a_split_and_keeps_what_was_given() -> None:
    found = cells()
    found.fit_transform("minmaxscaler", domain="features", keys="voltage", fit_to_split="train")
    train = transformed(found, "train")
    np.testing.assert_allclose(train.min(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(train.max(axis=0), 1, atol=1e-15)
    np.testing.assert_array_equal(found.columns["voltage"], ROWS)
    expected = sklearn.preprocessing.MinMaxScaler().fit(raw(found, "train"))
    np.testing.assert_array_equal(
        transformed(found, "test"), expected.transform(raw(found, "test"))
    )
    assert found.get_all_keys()[:2] == ["features.voltage.raw", "features.voltage.transformed"]


def test_scalers_follow_each_other_and_are_taken_back_one_by_one() -> None:
    found = cells()
    found.fit_transform(PerSampleZeroStart, domain="features", fit_to_split="train")
    once = transformed(found, "test")
    found.fit_transform(SegmentedScaler((0, 6), "StandardScaler"), domain="features")
    found.fit_transform(sklearn.preprocessing.MinMaxScaler(), domain="targets", keys="soh")
    assert [transform.scaler.scaler_name for transform in found.transforms] == [
        "PerSampleZeroStart", "SegmentedScaler", "MinMaxScaler",
    ]  # fmt: skip
    found.undo_last_transform(domain="features", keys="voltage")
    np.testing.assert_array_equal(transformed(found, "test"), once)
    assert "soh" in found.transforms
    found.undo_all_transforms(domain="features")
    assert "features.voltage.transformed" not in found.get_all_keys()
    assert "soh" in found.transforms
    found.undo_all_transforms()
    assert len(found.transforms) == 0


def test_predictions_are_taken_back() -> None:
    found = cells()
    found.fit_transform("StandardScaler", domain="targets", fit_to_split="train")
    found.fit_transform("MinMaxScaler", domain="targets", fit_to_split="train")
    scaled = transformed(found, "test", "soh").reshape(-1, 1)
    unscaled = found.unscale_data_for_cols(data=scaled, domain="targets", columns="soh")
    assert unscaled.shape == scaled.shape
    np.testing.assert_allclose(unscaled[:, 0], raw(found, "test", "soh"))
    with pytest.raises(ValueError, match="^`soh` have 1 elements in a row, the data have 2$"):
        found.unscale_data_for_cols(data=np.zeros((3, 2)), domain="targets", columns="soh")
    with pytest.warns(UserWarning, match="^`voltage` have no scaler to take back$"):
        found.unscale_data_for_cols(data=np.zeros((3, 6)), domain="features", columns="voltage")


def test_columns_that_are_scaled_together_stay_together() -> None:
    data = {"a": ROWS[:, 0], "b": ROWS[:, 1], "y": ROWS[:, 2]}
    found = FeatureSet.from_dict("Two", data, ["a", "b"], "y")
    found.fit_transform("Normalizer", domain="features")
    both = found.get_features("numpy", rep="transformed")
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1)
    with pytest.raises(
        ValueError, match="^Normalizer was fitted on `a`, `b` together; take it back for `b`"
    ):
        found.undo_last_transform("features", "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keys": "volt"}, "`volt` is not among the features of FeatureSet `Cells`; they are: `voltage`"),
        ({"domain": "feature"}, "domain is `features`, `targets` or `tags`, not 'feature'"),
        ({"fit_to_split": "trian"}, "FeatureSet `Cells` has no split `trian`; available: `train`, `test`"),
        ({"scaler": SegmentedScaler((0, 3), "Negate")}, "FeatureSet `Cells`: SegmentedScaler of `voltage`: "
         "`boundaries`: [0, 3] end at 3, and a row has 6 elements"),
        ({"scaler": sklearn.preprocessing.PowerTransformer("box-cox")}, "FeatureSet `Cells`: PowerTransformer of "
         "`voltage`: The Box-Cox transformation can only be applied to strictly positive data"),
    ],
)  # fmt: skip
def test_scalers_that_do_not_fit(arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"scaler": "Negate", "domain": "features"}
    found = cells()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        found.fit_transform(**{**given, **arguments})
    assert len(found.transforms) == 0


def test_references_say_which_representation() -> None:
    found = cells()
    assert found.reference().features == ("voltage",)
    early = found.reference()
    found.fit_transform("StandardScaler", domain="features", fit_to_split="train")
    message = (
        "`voltage` of FeatureSet `Cells` has the representations `raw` and `transformed`; say which"
    )
    with pytest.raises(ValueError, match=f"^{message}"):
        found.reference()
    assert early.features == ("voltage.raw",)
    assert found.reference(rep="transformed").features == ("voltage.transformed",)
    assert found.reference("voltage.transformed", rep="raw").targets == ("soh",)
    assert found.column_reference(feature="voltage", rep="raw").column == "voltage.raw"
    assert (
        repr(found.column_reference("targets.soh")) == "ColumnReference('Cells', 'targets.soh.raw')"
    )
    with pytest.raises(
        ValueError, match="^a column reference names one column of FeatureSet `Cells`, not 0$"
    ):
        found.column_reference()


def test_a_split_that_is_made_anew_leaves_no_scaler_behind_unseen() -> None:
    found = cells()
    found.fit_transform("StandardScaler", domain="features", fit_to_split="train")
    assert found.section()["scale"] == [
        {"use": "standard", "columns": ["voltage"], "fit_on": "train"}
    ]
    found.clear_splits()
    found.split_random({"train": 0.75, "test": 0.25}, seed=6)
    with pytest.raises(
        ValueError, match="a scaler was fitted on split `train`, which is another one now"
    ):
        found.section()


class Centred:
    """A scaler of a program's own."""

    def fit(self, rows: Any) -> Centred:
        self.mean = rows.mean()
        return self

    def transform(self, rows: Any) -> Any:
        return rows - self.mean


def test_an_object_of_the_program_scales_too() -> None:
    found = cells()
    found.fit_transform(Centred(), domain="features", fit_to_split="train")
    np.testing.assert_allclose(transformed(found, "train").mean(), 0, atol=1e-12)
    section = found.section()
    assert "scale" not in section
    assert section["features"] == ["voltage", "voltage.transformed"]
    assert set(found.table) >= {"voltage", "voltage.transformed"}
    found.undo_last_transform("features")
    assert found.section()["features"] == ["voltage"]
