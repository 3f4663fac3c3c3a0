"""Groups that are run several times, in the plan: phases, splits, conditions, and what a file may say of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from specplan.errors import PlanError, SpecError
from specplan.plan.canonical import read_plan, write_plan
from specplan.plan.compile import compile_path
from specplan.plan.explain import explain
from specplan.plan.model import Guard, Plan
from specplan.plan.verify import verify
from specplan.spec.condition import ConditionError, parse_condition
from tests.plan.test_explain import check
from tests.plan.test_right_specs import CORPUS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from specplan.plan.model import Compiled

EDITS = (
    ("  - group: deep", "  - group: deep\n    for_each: {use: folds, n: 3}"),
    (
        "  - {phase: fit, label: forest, split: train, active: [Forest], metrics: [forest_r2]}\n",
        "  - group: trees\n"
        "    repeat: {max: 3, until: forest/forest_r2 > 0.9}\n"
        "    when: deep.fold_0.net/val_mse < 2\n"
        "    do:\n"
        "      - {phase: fit, label: forest, split: train, active: [Forest], metrics: [forest_r2], freeze_after_fit: false}\n",
    ),
    (
        "{phase: eval, label: test, split: test,",
        "{phase: eval, label: test, split: test, when: trees.forest/forest_r2 > 0.5,",
    ),
    (", forest_r2]}\nresults", "]}\nresults"),
)


@pytest.fixture
def compiled(folder: Path, spec_text: str) -> Compiled:
    for before, after in EDITS:
        assert before in spec_text, before
        spec_text = spec_text.replace(before, after)
    (folder / "spec.yaml").write_text(spec_text, encoding="utf-8")
    return compile_path(folder / "spec.yaml")


def test_explained(compiled: Compiled) -> None:
    check(re.sub("b3:[0-9a-f]{64}", "b3:(id)", explain(compiled.plan)), "passes")


def test_a_plan_file_says_the_same(compiled: Compiled, folder: Path) -> None:
    write_plan(compiled, folder / "plan.json")
    assert read_plan(folder / "plan.json").plan == compiled.plan
    verify(compiled.plan)


def test_every_phase_knows_where_the_spec_says_it(compiled: Compiled) -> None:
    lines = [
        compiled.origins[f"/phases/{index}"].line for index in range(len(compiled.plan.phases))
    ]
    paths = [phase.path for phase in compiled.plan.phases]
    assert dict(zip(paths, lines, strict=True)) == {
        "scale": 43,
        **{f"deep.fold_{index}.net": 47 for index in range(3)},
        **{f"trees.pass_{index}.forest": 61 for index in range(3)},
        "test": 62,
    }


def test_conditions_are_resolved(compiled: Compiled) -> None:
    *_, second, third, test = compiled.plan.phases
    when = Guard(phases=("deep.fold_0.net",), metric="val_mse", op="<", value=2.0, holds=True)
    until = Guard(
        phases=("trees.pass_0.forest",), metric="forest_r2", op=">", value=0.9, holds=False
    )
    assert second.guards == (when, until)
    assert third.guards == (when, replace(until, phases=("trees.pass_1.forest",)))
    assert [guard.phases for guard in test.guards] == [
        tuple(f"trees.pass_{index}.forest" for index in range(3))
    ]


def test_a_pass_of_folds_has_seeds_of_its_own(compiled: Compiled) -> None:
    seeds = {phase.sampler.seed for phase in compiled.plan.phases if hasattr(phase, "sampler")}
    assert len(seeds) == 3


def _phase(value: dict[str, Any], number: int) -> dict[str, Any]:
    phase: dict[str, Any] = value["phases"][number]
    return phase


def _fold(value: dict[str, Any], number: int) -> dict[str, Any]:
    fold: dict[str, Any] = value["data"]["Cells"]["folds"][f"deep.fold_{number}"]
    return fold


FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "phases[1] is not in the pass other.fold_0": lambda v: _phase(v, 1)["passes"][0].update(
        group="other"
    ),
    "phases[3] has the impossible pass deep.fold_2": lambda v: _phase(v, 3)["passes"][0].update(
        of=2
    ),
    "phases[1] begins the pass deep.fold_1 out of order": lambda v: v["phases"].pop(1),
    "phases[2] begins the pass deep.fold_2 out of order": lambda v: v["phases"].insert(
        2, v["phases"].pop(3)
    ),
    "phases[4] has a condition on no phase": lambda v: _phase(v, 4)["guards"][0].update(phases=[]),
    "phases[4] has a condition on test, which is no phase before": lambda v: _phase(v, 4)["guards"][
        0
    ].update(phases=["test"]),
    "phases[4] has a condition on rmse, which deep.fold_0.net does not measure": lambda v: _phase(
        v, 4
    )["guards"][0].update(metric="rmse"),
    "data.Cells.folds.deep.fold_0 is not within deep.fold_1": lambda v: _fold(v, 0).update(
        within="deep.fold_1"
    ),
    "data.Cells.folds.deep.fold_0 has an impossible number": lambda v: _fold(v, 0).update(index=3),
    "data.Cells.folds.deep.fold_0 has an impossible seed": lambda v: _fold(v, 0).update(seed=-1),
    "data.Cells.folds.deep.fold_0 calls both parts alike": lambda v: _fold(v, 0)["val"].update(
        name="train"
    ),
    "data.Cells.folds.deep.fold_0 pools unknown splits": lambda v: _fold(v, 0).update(of=["all"]),
    "data.Cells.folds.deep.fold_0 has more folds than rows": lambda v: _fold(v, 0).update(n=37),
    "data.Cells.folds.deep.fold_0 has parts of other sizes": lambda v: _fold(v, 0)["val"].update(
        rows=13
    ),
    "phases[1] reads the wrong rows of Cells": lambda v: _phase(v, 1).update(rows=28),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plan_file_is_not_trusted(compiled: Compiled, fault: str) -> None:
    value = msgspec.to_builtins(compiled.plan)
    value = json.loads(msgspec.json.encode(value))
    FAULTS[fault](value)
    with pytest.raises(PlanError, match=f"^{re.escape(fault)}$"):
        verify(msgspec.convert(value, Plan))


@pytest.mark.parametrize(
    ("text", "phase", "metric", "op", "value"),
    [
        ("val/mse < 0.1", "val", "mse", "<", 0.1),
        ("  a.b-c/x_y>=-1e-3 ", "a.b-c", "x_y", ">=", -1e-3),
        ("a/b/c == .5", "a", "b/c", "==", 0.5),
    ],
)
def test_conditions(text: str, phase: str, metric: str, op: str, value: float) -> None:
    found = parse_condition(text)
    assert (found.phase, found.metric, found.op, found.value) == (phase, metric, op, value)
    assert text[slice(*found.phase_span)] == phase
    assert text[slice(*found.metric_span)] == metric


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", ""),
        ("val/mse", "val/mse"),
        ("val/mse ~= 1", "~="),
        ("val/mse < nan", "nan"),
        ("val/mse < 1e999", "1e999"),
        ("val/mse < 1_0", "1_0"),
        ("0.1 > val/mse", "0.1"),
        ("val /mse < 1", "val /mse"),
        ("__import__('os') < 1", "__import__('os')"),
    ],
)
def test_no_conditions(text: str, wrong: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert text[slice(*caught.value.span)] == wrong


def test_two_feature_sets_are_cut_at_the_same_time(folder: Path) -> None:
    text = (CORPUS / "folds_of_two.yaml").read_text()
    (folder / "spec.yaml").write_text(text)
    data = compile_path(folder / "spec.yaml").plan.data
    cells, twice = data["Cells"].folds, data["Twice"].folds
    assert list(cells) == list(twice) == ["cv.fold_0", "cv.fold_1", "cv.fold_2"]
    assert {(fold.train.name, fold.val.name) for fold in twice.values()} == {("known", "judged")}
    assert sum(fold.val.rows for fold in cells.values()) == data["Cells"].rows
    assert sum(fold.val.rows for fold in twice.values()) == data["Twice"].rows


@pytest.mark.parametrize(
    ("said", "code", "place"),
    [
        ("Cells: {}", "SP304", "Cells"),
        ("Twise: {}", "SP301", "Twise"),
        ("Twice: {of: [test]}", "SP303", "test"),
        ("Twice: {val: train}", "SP304", "train"),
        ("Twice: {n: 4}", "SP201", "n"),
    ],
)
def test_what_is_cut_beside_is_checked(folder: Path, said: str, code: str, place: str) -> None:
    text = (CORPUS / "folds_of_two.yaml").read_text()
    (folder / "spec.yaml").write_text(text.replace("Twice: {train: known, val: judged}", said))
    with pytest.raises(SpecError) as raised:
        compile_path(folder / "spec.yaml")
    first = raised.value.diagnostics[0]
    line = (folder / "spec.yaml").read_text().splitlines()[first.origin.line - 1]
    assert (first.code, said in line) == (code, True), first
    assert line[first.origin.column - 1 :].startswith(place)
