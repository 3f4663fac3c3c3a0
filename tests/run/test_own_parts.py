"""Scalers, splitters and merges of the user, from a spec to the bits of a hand-written loop.

`UPDATE_GOLDEN=1 pytest tests/run/test_own_parts.py` writes the texts of the errors anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
import torch

from specplan.code.trust import trust
from specplan.errors import DataError, RunError, SpecError
from specplan.models.torch.build import build_module
from specplan.plan.canonical import read_plan, write_plan
from specplan.plan.compile import compile_path
from specplan.plan.passes.context import CodeUse
from specplan.plan.streams import written_seed_of
from specplan.results.scalers import Learned
from specplan.run.display import Silent
from specplan.run.resume import resume_run
from specplan.run.run import run_plan
from specplan.spec.render import render
from tests.run import specs

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parent.parent / "golden/own_part_errors"
CODE = '''\
import random

import numpy as np
import torch
from torch import nn


class Winsor:
    """Values beyond two quantiles are cut off, the rest goes from 0 to 1."""

    def __init__(self, low: float = 0.05, high: float = 0.95):
        self.low, self.high = low, high

    def fit(self, rows):
        self.least_ = np.quantile(rows, self.low, axis=0)
        self.most_ = np.quantile(rows, self.high, axis=0)

    def transform(self, rows):
        return np.clip((rows - self.least_) / (self.most_ - self.least_), 0, 1)

    def inverse_transform(self, rows):
        return rows * (self.most_ - self.least_) + self.least_


class Forgetful:
    def fit(self, rows):
        self.mean = rows.mean(axis=0)

    def transform(self, rows):
        return rows - self.mean


class Gambling(Winsor):
    def transform(self, rows):
        return rows + random.random()


class Narrow(Winsor):
    def transform(self, rows):
        return rows[:, :1]


class Failing:
    def fit(self, rows):
        raise KeyError("nothing to learn")

    def transform(self, rows):
        return rows


class Unfitted:
    def transform(self, rows):
        return rows


def by_value(rows: int, generator: np.random.Generator, columns, held_out: list[str] = ["far"], val: int = 20):
    """The rows of some kinds are for tests."""
    (kind,) = columns.values()
    test = np.isin(kind, held_out)
    rest = generator.permutation(np.flatnonzero(~test))
    return {"test": test, "val": rest[:val], "train": rest[val:]}


class Halves:
    """The first rows, and the others."""

    def __init__(self, share: float = 0.5):
        self.share = share

    def __call__(self, rows, generator):
        cut = round(rows * self.share)
        return {"train": range(cut), "test": range(cut, rows)}


def both(rows, generator):
    return {"train": range(rows), "test": [3, 4]}


def beyond(rows, generator):
    return {"train": [rows]}


def wild(rows, generator):
    order = random.sample(range(rows), rows)
    return {"train": order[:10], "test": order[10:]}


def listless(rows, generator):
    return [range(rows)]


def one(rows):
    return {"train": range(rows)}


class Attend(nn.Module):
    """A learned mean of inputs of one shape."""

    def __init__(self, input_shapes: list[tuple[int, ...]]):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(len(input_shapes)))

    def forward(self, inputs):
        shares = torch.softmax(self.weights, 0)
        return sum(share * rows for share, rows in zip(shares, inputs))


def product(inputs, power: float = 1.0):
    """Element by element."""
    left, right = inputs
    return left * right**power


def total(inputs):
    return inputs[0].sum()


def pairs(inputs):
    left, right, more = inputs
    return left
'''
SPEC = """\
specplan: 1
experiment: {id: tests}
run: {seed: 42, threads: 1}
checkpoint: {every_n_steps: 1}
data:
  Set:
    source: {use: arrow, path: set.arrow}
    features: [x]
    targets: [y]
    tags: [kind]
    splits: {use: "./mine.py:by_value", columns: [kind], val: 30}
    scale:
      - {use: "./mine.py:Winsor", columns: [x], fit_on: train, low: 0.1}
graph:
  nodes:
    A: {model: {use: mlp, output_shape: [6], n_layers: 1, hidden_dim: 8}, input: Set.x}
    B: {model: {use: mlp, output_shape: [6], n_layers: 1, hidden_dim: 8}, input: Set.x}
    Both: {merge: {use: "./mine.py:Attend"}, input: [A, B]}
    Joined: {merge: {use: "./mine.py:product", power: 2}, input: [Both, A]}
    Net: {model: {use: mlp, n_layers: 1, hidden_dim: 8}, input: Joined, target: Set.y}
  optimizer: {use: adam, lr: 0.01}
losses:
  mse: {use: mse, node: Net}
plan:
  - phase: train
    label: train
    split: train
    epochs: 3
    losses: [mse]
    sampler: {use: simple, batch_size: 40, shuffle: true, seed: 7}
  - {phase: eval, label: test, split: test, losses: [mse]}
"""
SPLIT = '{use: "./mine.py:by_value", columns: [kind], val: 30}'
SCALER = '{use: "./mine.py:Winsor", columns: [x], fit_on: train, low: 0.1}'
FUNCTION = '{use: "./mine.py:product", power: 2}'
NEVER, ALWAYS = CodeUse(), CodeUse(imports="always")
FAULTS: dict[str, tuple[str, str, CodeUse]] = {
    "SP202_scaler": (SCALER, '{use: "./mine.py:Winsor", columns: [x], low: some}', NEVER),
    "SP302_column_of_a_split": (SPLIT, '{use: "./mine.py:by_value", columns: [kid]}', NEVER),
    "SP203_leaks": (SPLIT, '{use: "./mine.py:Halves", leaks: maybe}', NEVER),
    "SP204_columns_of_a_split": (SPLIT, '{use: "./mine.py:by_value"}', NEVER),
    "SP403_merge": (FUNCTION, '{use: "./mine.py:product", powr: 2}', NEVER),
    "SP406_function_as_scaler": (SCALER, '{use: "./mine.py:product", columns: [x]}', NEVER),
    "SP406_no_fit": (SCALER, '{use: "./mine.py:Unfitted", columns: [x]}', NEVER),
    "SP406_values_of_a_split": (SPLIT, '{use: "./mine.py:one"}', NEVER),
    "SP406_class_as_merge": (FUNCTION, '{use: "./mine.py:Halves"}', NEVER),
    "SP605_split_not_run": (SPLIT, '{use: "./mine.py:Halves", share: 0.4}', NEVER),
    "SP604_split_overlaps": (SPLIT, '{use: "./mine.py:both"}', ALWAYS),
    "SP604_split_beyond": (SPLIT, '{use: "./mine.py:beyond"}', ALWAYS),
    "SP604_split_at_random": (SPLIT, '{use: "./mine.py:wild"}', ALWAYS),
    "SP604_split_of_lists": (SPLIT, '{use: "./mine.py:listless"}', ALWAYS),
    "SP604_scaler_forgets": (SCALER, '{use: "./mine.py:Forgetful", columns: [x], fit_on: train}', ALWAYS),
    "SP604_scaler_gambles": (SCALER, '{use: "./mine.py:Gambling", columns: [x], fit_on: train}', ALWAYS),
    "SP604_scaler_narrows": (SCALER, '{use: "./mine.py:Narrow", columns: [x], fit_on: train}', ALWAYS),
    "SP604_scaler_fails": (SCALER, '{use: "./mine.py:Failing", columns: [x], fit_on: train}', ALWAYS),
    "SP604_merge_of_all": (FUNCTION, '{use: "./mine.py:total"}', ALWAYS),
    "SP604_merge_fails": (FUNCTION, '{use: "./mine.py:pairs"}', ALWAYS),
}  # fmt: skip


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    trust(file)
    known = columns()
    x = pa.FixedSizeListArray.from_arrays(pa.array(known["x"].ravel()), 10)
    table = pa.table({"x": x, "y": known["y"], "kind": known["kind"]})
    with pa.ipc.new_file("set.arrow", table.schema) as writer:
        writer.write_table(table)
    return file


def columns() -> dict[str, Any]:
    found = specs.regression()
    return {**found, "kind": np.where(found["x"][:, 3] > 1, "far", "near")}


def write(*changes: tuple[str, str]) -> None:
    text = SPEC
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    Path("spec.yaml").write_text(text)


def hand_written() -> tuple[list[torch.nn.Module], list[float]]:
    """The training of `SPEC` without anything of ours but the seeds."""
    space: dict[str, Any] = {}
    exec(CODE, space)  # the text above
    known, nodes = columns(), compile_path("spec.yaml").plan.graph.nodes
    generator = np.random.default_rng(written_seed_of(42, "split/Set"))
    rows = space["by_value"](500, generator, {"kind": known["kind"]}, val=30)["train"]
    scaler = space["Winsor"](low=0.1)
    scaler.fit(known["x"][rows])
    x = torch.tensor(scaler.transform(known["x"])[rows], dtype=torch.float32)
    y = torch.tensor(known["y"][rows], dtype=torch.float32)[:, None]

    def net(label: str, reads: int, gives: int) -> torch.nn.Module:
        specs.seeded(f"init/{label}")
        arguments = nodes[label].component.args
        return build_module("mlp", arguments, input_shape=(reads,), output_shape=(gives,))

    modules = [net("A", 10, 6), net("B", 10, 6), space["Attend"]([(6,), (6,)]), net("Net", 6, 1)]
    first, second, attend, last = modules
    weights = [each for module in modules for each in module.parameters()]
    optimizer, values = torch.optim.Adam(weights, lr=0.01), []
    for epoch in range(3):
        for batch in torch.from_numpy(
            np.random.default_rng([7, epoch]).permutation(len(rows))
        ).split(40):
            left = first(x[batch])
            outputs = last(space["product"]([attend([left, second(x[batch])]), left], power=2.0))
            value = torch.nn.functional.mse_loss(outputs, y[batch])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            values.append(value.item())
    return modules, values


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_has_the_bits_of_a_hand_written_loop(tmp_path: Path, code: Path) -> None:
    write()
    compiled = compile_path("spec.yaml", code=ALWAYS)
    assert compile_path("spec.yaml").plan.id == compiled.plan.id
    assert compiled.plan.data["Set"].sizes == {"train": 401, "val": 30, "test": 69}
    write_plan(compiled, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json").plan == compiled.plan
    outcome = specs.run(compiled, tmp_path)
    modules, losses = hand_written()
    assert specs.values(outcome, "train", "mse", whole=False) == losses
    for label, module in zip(("A", "B", "Both", "Net"), modules, strict=True):
        assert specs.same_weights(module, outcome.state.nodes[label])
    learned = Learned(outcome.folder, read_plan(outcome.folder.plan_file).plan)
    x = columns()["x"]
    inside = np.clip(x, np.quantile(x, 0.3, axis=0), np.quantile(x, 0.7, axis=0))
    state = msgspec.json.decode(outcome.folder.scalers_file.read_bytes())["Set"][""][0]["state"]
    least, most = (np.array(state[name]["values"]) for name in ("least_", "most_"))
    scaled = (inside - least) / (most - least)
    np.testing.assert_allclose(learned.unscaled(scaled, "Set", ["x.transformed"]), inside)
    code.write_text(CODE.replace("rows * (self", "2 * rows * (self"))
    with pytest.raises(SpecError, match="SP605"):
        compile_path("spec.yaml")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_was_killed_ends_as_it_would_have_ended(tmp_path: Path) -> None:
    write()
    compiled = compile_path("spec.yaml", code=ALWAYS)
    whole = run_plan(compiled, root=tmp_path / "whole", display=Silent())
    resumed = resume_run(specs.killed(compiled, tmp_path, at=(1, 3)), display=Silent())
    assert resumed is not None
    for label in ("A", "B", "Both", "Net"):
        assert specs.same_weights(resumed.state.nodes[label], whole.state.nodes[label])
    assert resumed.folder.scalers_file.read_bytes() == whole.folder.scalers_file.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_fails_in_a_run_is_said_with_its_place(tmp_path: Path) -> None:
    write((SCALER, '{use: "./mine.py:Failing", columns: [x], fit_on: train}'))
    plan = compile_path("spec.yaml", code=CodeUse(imports="needed"))
    with pytest.raises(DataError) as failed:
        specs.run(plan, tmp_path)
    assert str(failed.value).splitlines()[0] == (
        "spec.yaml:13:9: error[SP518]: FeatureSet `Set`: scaler `./mine.py:Failing` of `x`: "
        "mine.py:45: KeyError: 'nothing to learn'"
    )
    write()
    plan = compile_path("spec.yaml", code=ALWAYS)
    known = plan.plan.data["Set"].divided
    assert known is not None
    divided = msgspec.structs.replace(known, digest="b3:other")
    data = {"Set": msgspec.structs.replace(plan.plan.data["Set"], divided=divided)}
    other = msgspec.structs.replace(plan, plan=msgspec.structs.replace(plan.plan, data=data))
    with pytest.raises(DataError, match="SP502.*gives splits other rows than when"):
        specs.run(other, tmp_path)
    said = (
        "    Joined: {merge: " + FUNCTION,
        '    Joined: {output_shape: [6], merge: {use: "./mine.py:pairs"}',
    )
    write(said)
    plan = compile_path("spec.yaml", code=CodeUse(imports="needed"))
    with pytest.raises(RunError) as ended:
        specs.run(plan, tmp_path)
    assert str(ended.value) == (
        "spec.yaml:19:13: merge `./mine.py:pairs` failed, mine.py:119: ValueError: "
        "not enough values to unpack (expected 3, got 2)"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_split_inside_folds_is_scaled_anew(tmp_path: Path) -> None:
    head, _, phases = SPEC.partition("plan:\n")
    train, evaluation = phases.split("  - {phase: eval")
    listed = "  - group: cv\n    for_each: {use: folds, n: 2}\n    do:\n" + "".join(
        f"    {line}\n" for line in train.rstrip().splitlines()
    )
    assert "val: 30}" in head
    head = head.replace("val: 30}", "val: 30, leaks: allow}")
    Path("spec.yaml").write_text(f"{head}plan:\n{listed}  - {{phase: eval{evaluation}")
    plan = compile_path("spec.yaml", code=ALWAYS)
    assert plan.plan.data["Set"].splitter is not None
    assert plan.plan.data["Set"].splitter.args["leaks"] == "allow"
    outcome = specs.run(plan, tmp_path)
    by_fold = msgspec.json.decode(outcome.folder.scalers_file.read_bytes())["Set"]
    learned = [json.dumps(entries[0]["state"]) for entries in by_fold.values()]
    assert len(learned) == len(set(learned)) == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rendered_texts() -> None:
    write()
    compile_path("spec.yaml", code=ALWAYS)
    for name, (before, after, use) in FAULTS.items():
        write((before, after))
        with pytest.raises(SpecError) as caught:
            compile_path("spec.yaml", code=use)
        rendered = "\n\n".join(render(item) for item in caught.value.diagnostics) + "\n"
        golden = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            GOLDEN.mkdir(exist_ok=True)
            golden.write_text(rendered, encoding="utf-8")
        assert rendered == golden.read_text(encoding="utf-8"), name
        assert set(re.findall(r"error\[(SP\d{3})\]", rendered)) == {name[:5]}
    assert {file.stem for file in GOLDEN.iterdir()} == set(FAULTS)
