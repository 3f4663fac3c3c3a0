"""Scalers of a plan: fitted on the split that it says, and again in each fold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from specplan import (
    AppliedLoss,
    EvalPhase,
    Experiment,
    FeatureSet,
    Loss,
    ModelGraph,
    ModelNode,
    Optimizer,
    SequentialMLP,
    SimpleSampler,
    TrainPhase,
)
from specplan.errors import DataError, PlanError
from specplan.objects.plan import compile as compile_spec
from specplan.plan.canonical import canonical, read_plan, write_plan
from specplan.plan.diff import diff
from specplan.plan.verify import verify
from specplan.results.scalers import Learned
from specplan.run.context import split_of
from specplan.run.state import State
from specplan.run.tables import read_tables
from tests.run.specs import compiled, evaluation, regression, rows_of, run, train

if TYPE_CHECKING:
    from pathlib import Path

STANDARD = {"use": "standard", "columns": ["x"], "fit_on": "train"}
ON_TARGET = {"use": "min_max", "columns": ["y"], "fit_on": "train"}
FOLDS = {"group": "cv", "for_each": {"use": "folds", "n": 4, "of": ["train"], "seed": 3}}


def test_columns_are_scaled_as_the_split_says() -> None:
    data = regression()
    (table,) = read_tables(compiled(train(), scale=[STANDARD, ON_TARGET]), State()).values()
    known = rows_of(500, "train")
    expected = StandardScaler().fit(data["x"][known]).transform(data["x"])
    np.testing.assert_array_equal(table.columns["x.transformed"], expected)
    column = data["y"][:, None]
    expected = MinMaxScaler().fit(column[known]).transform(column)[:, 0]
    np.testing.assert_array_equal(table.columns["y.transformed"], expected)
    np.testing.assert_array_equal(table.columns["x"], data["x"])


def test_each_fold_has_scalers_of_its_own() -> None:
    group = {**FOLDS, "do": [train(), evaluation(label="val", split="val")]}
    plan = compiled(group, evaluation(), scale=[STANDARD])
    tables = read_tables(plan, State())
    x = regression()["x"]
    for phase in plan.plan.phases:
        fold = plan.plan.data["Set"].fold_of(phase.passes)
        learned_from = split_of(plan.plan, tables, phase, "train").positions
        assert learned_from is not None
        assert len(learned_from) == (400 if fold is None else 300)
        expected = StandardScaler().fit(x[learned_from]).transform(x)
        read = split_of(plan.plan, tables, phase, phase.split)
        np.testing.assert_array_equal(read.table.columns["x.transformed"], expected)


def test_folds_that_a_scaler_does_not_learn_from_share_one() -> None:
    group = {**FOLDS, "do": [train()]}
    (table,) = read_tables(
        compiled(group, scale=[{**STANDARD, "fit_on": "test"}]), State()
    ).values()
    assert table.folds == {}


@pytest.mark.parametrize(
    ("scaler", "splits", "expected"),
    [
        ({"use": "standard", "fit_on": "known"}, "known", "`known`"),
        ({"use": "standard", "fit_on": "train"}, "train", None),
        ({"use": "negate"}, "known", None),
    ],
)
def test_folds_that_leave_out_what_a_scaler_learns_from(
    scaler: dict[str, Any], splits: str, expected: str | None
) -> None:
    cut = {"use": "random", "ratios": {splits: 0.8, "test": 0.2}, "seed": 1}
    group = {**FOLDS, "for_each": {"use": "folds", "n": 4, "of": [splits]}, "do": [train()]}
    plan = compiled(group, splits=cut, scale=[{**scaler, "columns": ["x"]}])
    found = [item.message for item in plan.warnings if item.code == "SP516"]
    said = f"the scaler learns from {expected}, also from rows that a fold leaves out"
    assert found == ([said] if expected else [])


def test_plans_that_scale_otherwise_are_told_apart() -> None:
    first = compiled(train(), scale=[STANDARD, ON_TARGET]).plan
    second = compiled(train(), scale=[{**STANDARD, "with_mean": False, "fit_on": "test"}]).plan
    text = str(diff(first, second))
    for said in ("scaler 1", "with_mean", "fit_on", "scaler 2"):
        assert said in text


def test_a_run_keeps_what_its_scalers_learned(tmp_path: Path) -> None:
    group = {**FOLDS, "do": [train()]}
    plan = compiled(group, evaluation(), scale=[STANDARD, ON_TARGET])
    outcome = run(plan, tmp_path)
    written = json.loads(outcome.folder.scalers_file.read_text())
    assert list(written["Set"]) == ["", *(f"cv.fold_{index}" for index in range(4))]
    learned = Learned(outcome.folder, plan.plan)
    y = regression()["y"]
    known = y[rows_of(500, "train")]
    values = np.array([[0.0], [1.0]])
    found = learned.unscaled(values, "Set", ["y.transformed"])
    np.testing.assert_allclose(found[:, 0], [known.min(), known.max()])
    inside = learned.unscaled(values, "Set", ["y.transformed"], fold="cv.fold_0")
    assert inside[0, 0] >= known.min()
    np.testing.assert_array_equal(learned.unscaled(values, "Set", ["y"]), values)
    with pytest.raises(ValueError, match="^of `x.transformed`, `tags` only `x` are scaled$"):
        learned.unscaled(values, "Set", ["x.transformed", "tags"])


def test_a_plan_without_scalers_says_nothing_of_them(tmp_path: Path) -> None:
    plan = compiled(evaluation())
    outcome = run(plan, tmp_path)
    assert not outcome.folder.scalers_file.exists()
    assert b"scale" not in outcome.folder.plan_file.read_bytes()


def test_a_plan_with_scalers_comes_back_from_its_file(tmp_path: Path) -> None:
    plan = compiled(train(), scale=[STANDARD])
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json").plan
    assert again == plan.plan
    verify(again)
    data = again.data["Set"]
    broken = {**data.columns, "x.transformed": data.columns["y"]}
    changed = {"Set": type(data)(**{**_fields(data), "columns": broken})}
    with pytest.raises(PlanError, match="x.transformed is not what a scaler makes"):
        verify(canonical(type(again)(**{**_fields(again), "data": changed})))


def _fields(part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__struct_fields__}


def test_values_that_a_scaler_cannot_be_fitted_on() -> None:
    scale = [{"use": "power", "method": "box-cox", "columns": ["x"], "fit_on": "train"}]
    plan = compiled(train(), scale=scale)
    with pytest.raises(
        DataError, match="FeatureSet `Set`: scaler `power` of `x`: The Box-Cox"
    ) as caught:
        read_tables(plan, State())
    assert caught.value.code == "SP518"
    assert caught.value.pointer == "/data/Set/scale/0"


def test_an_experiment_runs_what_its_feature_set_shows(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SPECPLAN_HOME", str(tmp_path))
    data = regression(200)
    exp = Experiment("scaled", registration_policy="overwrite")
    cells = FeatureSet.from_dict("Cells", {**data, "site": np.arange(200) % 4}, "x", "y", "site")
    cells.split_by_condition({"known": {"site": [0, 1, 2]}, "test": {"site": 3}})
    cells["known"].split_random({"train": 0.8, "val": 0.2}, seed=1)
    cells.fit_transform("PerSampleMinMaxScaler", domain="features", fit_to_split="train")
    cells.fit_transform("RobustScaler", domain="features", fit_to_split="train")
    cells.fit_transform(StandardScaler(), domain="targets", fit_to_split="train")
    net = ModelNode("Net", SequentialMLP(hidden_dim=4), cells.reference(rep="transformed"))
    optimizer = Optimizer("sgd", opt_kwargs={"lr": 0.1}, backend="torch")
    ModelGraph(nodes=[net], optimizer=optimizer).build()
    mse = AppliedLoss(Loss("mse", backend="torch"), on=net, inputs=["outputs", "targets"])
    sampler = SimpleSampler(batch_size=16, shuffle=True, seed=2)
    exp.execution_plan.add_phase(TrainPhase.from_split("train", "train", sampler, [mse]))
    exp.execution_plan.add_phase(EvalPhase.from_split("val", "val", [mse]))
    results = exp.run()
    seen = np.asarray(results["val"].tensors("Net", "targets").stacked()).reshape(-1)
    shown = cells["val"].get_targets("numpy", rep="transformed").reshape(-1)
    np.testing.assert_array_equal(seen, shown)
    plan = compile_spec(exp.to_spec(), tables={"Cells": cells.table})
    assert plan.model.data["Cells"].sizes == {"known": 150, "test": 50, "train": 120, "val": 30}
    (table,) = read_tables(plan._compiled, State()).values()
    for name, view in cells.splits.items():
        np.testing.assert_array_equal(table.splits[name], view.indices)
    np.testing.assert_array_equal(
        table.columns["x.transformed"], cells.get_features(rep="transformed")["x"]
    )
