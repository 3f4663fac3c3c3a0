"""Samplers of the user, from a spec to the bits of a hand-written loop."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from specplan.code.batches import OwnBatches, maker, packed, unpacked
from specplan.code.signature import Signature
from specplan.code.trust import trust
from specplan.errors import RunError, SpecError
from specplan.models.torch.build import build_module
from specplan.plan.canonical import read_plan, write_plan
from specplan.plan.compile import compile_path
from specplan.plan.model import Train
from specplan.plan.passes.context import CodeUse
from specplan.plan.streams import written_seed_of
from specplan.run.display import Silent
from specplan.run.resume import resume_run
from specplan.run.run import run_plan
from specplan.spec.diagnostics import Origin
from specplan.spec.render import render
from tests.run import specs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from specplan.plan.model import Compiled
    from specplan.run.outcome import Outcome

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parent.parent / "golden/own_sampler_errors"
CODE = """\
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np


def weighted(
    rows: int,
    epoch: int,
    generator: np.random.Generator,
    columns: Mapping[str, np.ndarray],
    batch_size: int = 32,
    rare: str = "far",
) -> list[np.ndarray]:
    '''Rows with replacement, each kind as often as any other.'''
    kinds, codes = np.unique(columns["kind"], return_inverse=True)
    assert rare in kinds
    chances = 1 / np.bincount(codes)[codes]
    order = generator.choice(rows, rows, p=chances / chances.sum())
    return np.split(order, range(batch_size, rows, batch_size))


@dataclass
class Growing:
    '''Batches that are larger in later epochs, of the rows in their order.'''

    steps: int = 4

    def __call__(self, rows: int, epoch: int, generator: np.random.Generator) -> Iterator[list[int]]:
        first = min(1 + epoch, rows - self.steps)
        yield list(range(first))
        yield from np.array_split(np.arange(first, rows), self.steps - 1)


def few(rows, epoch):
    return [[0]]


def failing(rows, epoch, generator):
    raise ValueError("no rows like these")


def shrinking(rows, epoch, generator):
    return [range(rows - epoch)]


def late(rows, epoch, generator):
    return [range(rows if epoch < 3 else 1)]


def turns(rows, epoch, generator):
    order = generator.permutation(rows)
    return [{"first": order, "second": order[::-1]}]
"""
WEIGHTED = {"use": "./mine.py:weighted", "columns": ["kind"], "batch_size": 50}
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
    splits: {use: random, ratios: {train: 0.8, test: 0.2}, seed: 13}
graph:
  nodes:
    Net: {model: {use: mlp, n_layers: 2, hidden_dim: 32}, input: Set.x, target: Set.y}
  optimizer: {use: adam, lr: 0.001}
losses:
  mse: {use: mse, node: Net}
plan:
  - phase: train
    label: train
    split: train
    epochs: 5
    losses: [mse]
    sampler: SAMPLER
"""
NEVER, ALWAYS = CodeUse(), CodeUse(imports="always")
FAULTS: dict[str, tuple[dict[str, Any], CodeUse]] = {
    "SP202_columns": ({"use": "./mine.py:weighted", "columns": 3}, NEVER),
    "SP202_argument": ({**WEIGHTED, "batch_size": "many"}, NEVER),
    "SP204_columns": ({"use": "./mine.py:weighted"}, NEVER),
    "SP302_column": ({**WEIGHTED, "columns": "kid"}, NEVER),
    "SP403_argument": ({**WEIGHTED, "rar": "far"}, NEVER),
    "SP406_values": ({"use": "./mine.py:few"}, NEVER),
    "SP605_not_run": (WEIGHTED, NEVER),
    "SP604_fails": ({"use": "./mine.py:failing"}, ALWAYS),
    "SP724_roles": ({"use": "./mine.py:turns"}, ALWAYS),
    "SP604_shrinks": ({"use": "./mine.py:shrinking"}, ALWAYS),
}


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    trust(file)
    return file


def columns() -> dict[str, NDArray[Any]]:
    found = specs.regression()
    return {**found, "kind": np.where(found["x"][:, 3] > 1, "far", "near")}


def write(sampler: Mapping[str, Any]) -> None:
    found = columns()
    x = pa.FixedSizeListArray.from_arrays(pa.array(found["x"].ravel()), 10)
    table = pa.table({"x": x, "y": found["y"], "kind": found["kind"]})
    with pa.ipc.new_file("set.arrow", table.schema) as writer:
        writer.write_table(table)
    written = ", ".join(f"{key}: {json.dumps(value)}" for key, value in sampler.items())
    Path("spec.yaml").write_text(SPEC.replace("SAMPLER", f"{{{written}}}"))


def compiled(sampler: Mapping[str, Any], use: CodeUse = ALWAYS) -> Compiled:
    write(sampler)
    return compile_path("spec.yaml", code=use)


def hand_written() -> tuple[torch.nn.Module, list[float]]:
    """The training of `compiled(WEIGHTED)` without anything of ours but the seeds."""
    space: dict[str, Any] = {}
    exec(CODE, space)  # the text above
    known = columns()
    rows = specs.rows_of(500, "train")
    x = torch.tensor(known["x"][rows], dtype=torch.float32)
    y = torch.tensor(known["y"][rows], dtype=torch.float32)[:, None]
    arguments = compiled(WEIGHTED).plan.graph.nodes["Net"].component.args
    specs.seeded("init/Net")
    net = build_module("mlp", arguments, input_shape=(10,), output_shape=(1,))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    seed, values = written_seed_of(42, "phase/train/sampler"), []
    for epoch in range(5):
        generator = np.random.default_rng([seed, epoch])
        kinds = {"kind": known["kind"][rows]}
        for batch in space["weighted"](400, epoch, generator, kinds, batch_size=50):
            value = torch.nn.functional.mse_loss(net(x[batch]), y[batch])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            values.append(value.item())
    return net, values


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_has_the_bits_of_a_hand_written_loop(tmp_path: Path) -> None:
    outcome = specs.run(compiled(WEIGHTED), tmp_path)
    net, losses = hand_written()
    assert specs.values(outcome, "train", "mse", whole=False) == losses
    assert specs.same_weights(net, outcome.state.nodes["Net"])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_counted_is_remembered_and_in_the_plan(tmp_path: Path, code: Path) -> None:
    sampler = {"use": "./mine.py:Growing", "steps": 3}
    plan = compiled(sampler)
    [phase] = plan.plan.phases
    assert isinstance(phase, Train)
    [feed] = phase.all_feeds
    assert (feed.samples, feed.steps, feed.batch_size) == (400, 3, 200)
    assert compiled(sampler, NEVER).plan.id == plan.plan.id
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json").plan == plan.plan
    outcome = specs.run(plan, tmp_path)
    sizes = [len(rows) for rows in specs.recorded(outcome, "train", "outputs")]
    assert sizes[0] + sizes[1] + sizes[2] == 400
    assert sizes[::3] == [1, 2, 3, 4, 5]
    code.write_text(CODE.replace("1 + epoch", "2 + epoch"))
    with pytest.raises(SpecError, match="SP605"):
        compiled(sampler, NEVER)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_epoch_that_differs_ends_the_run(tmp_path: Path) -> None:
    plan = compiled({"use": "./mine.py:late"})
    with pytest.raises(RunError) as failed:
        specs.run(plan, tmp_path)
    assert str(failed.value) == (
        "spec.yaml:19:5: sampler `./mine.py:late` gave 1 rows in 1 batches in epoch 3, and 400 in 1 in epoch 0; "
        "every epoch has as many"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_was_killed_ends_as_it_would_have_ended(tmp_path: Path) -> None:
    plan = compiled(WEIGHTED)
    whole = run_plan(plan, root=tmp_path / "whole", display=Silent())
    resumed = resume_run(specs.killed(plan, tmp_path, at=(2, 3)), display=Silent())
    assert resumed is not None
    assert specs.same_weights(resumed.state.nodes["Net"], whole.state.nodes["Net"])
    assert losses(resumed) == losses(whole)


def losses(outcome: Outcome) -> list[float]:
    return specs.values(outcome, "train", "mse", whole=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rendered_texts() -> None:
    for name, (sampler, use) in FAULTS.items():
        write(sampler)
        with pytest.raises(SpecError) as caught:
            compile_path("spec.yaml", code=use)
        rendered = "\n\n".join(render(item) for item in caught.value.diagnostics) + "\n"
        golden = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            golden.write_text(rendered, encoding="utf-8")
        assert rendered == golden.read_text(encoding="utf-8")
        assert set(re.findall(r"error\[(SP\d{3})\]", rendered)) == {name[:5]}
    assert {file.stem for file in GOLDEN.iterdir()} == set(FAULTS)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([[0, 4]], "`mine` gave the row 4 in epoch 0; the rows are 0 to 3"),
        ([[-1]], "`mine` gave the row -1 in epoch 0; the rows are 0 to 3"),
        ([], "`mine` gave no batch in epoch 0"),
        (
            [np.ones(4, bool)],
            "`mine` gave a batch of bool of shape (4,) in epoch 0, a batch is a list of numbers of rows, or one for each role",
        ),
        (
            [[0], []],
            "`mine` gave a batch of float64 of shape (0,) in epoch 0, a batch is a list of numbers of rows, or one for each role",
        ),
        (
            [{"a": [0], "b": [0, 1]}],
            "`mine` gave a batch with 1 of `a` and 2 of `b` in epoch 0; a tuple has one row of each role",
        ),
        (
            [{"a": [0], "b": [1]}, {"a": [0]}],
            "`mine` gave a batch of the roles `a` in epoch 0, and one of the roles `a`, `b` before",
        ),
        (
            [{"a": [0], "b": [1]}, [0]],
            "`mine` gave a batch of rows without a role in epoch 0, and one of the roles `a`, `b` before",
        ),
        ([{"a": [0]}], "`mine` gave batches of 1 role; tuples have two or more"),
        (
            [{"a b": [0], "c": [0]}],
            "`mine` gave the role 'a b'; a role has letters, digits, `_` and `-`, and begins with a letter or `_`",
        ),
        (
            [{"default": [0], "c": [0]}],
            "`mine` gave the role 'default'; rows that are read one by one are that, and tuples need other names",
        ),
    ],
)
def test_batches_are_lists_of_numbers_of_rows(made: list[Any], message: str) -> None:
    with pytest.raises(RunError) as refused:
        OwnBatches(lambda _rows, _epoch, _generator: made, "`mine`", 0, 4)
    assert str(refused.value) == message


@pytest.mark.parametrize("values", [np.arange(3.0), np.array(["a", "bc", None], object)])
def test_columns_cross_to_the_other_process_and_cannot_be_changed(values: NDArray[Any]) -> None:
    declared = Signature(
        name="make",
        form="function",
        parameters={},
        is_open=True,
        inputs=3,
        documentation="",
        origin=Origin(file=None, path=()),
    )
    seen: list[NDArray[Any]] = []

    def make(_rows: int, _epoch: int, _generator: Any, columns: dict[str, Any]) -> list[list[int]]:
        seen.append(columns["x"])
        return [[0]]

    for held in (values, unpacked(packed(values))):
        OwnBatches(maker(make, {}, declared, {"x": held}), "`mine`", 0, 3)
    assert seen[0].dtype == seen[-1].dtype
    assert (
        seen[0].tolist()
        == seen[-1].tolist()
        == [str(v) if seen[0].dtype.kind == "U" else v for v in values]
    )
    with pytest.raises(ValueError, match="read-only"):
        seen[0][0] = 1


def drawn(rows: int, _epoch: int, generator: np.random.Generator, columns: Any) -> Any:
    """The rows of one kind first, in batches of 50."""
    order = generator.permutation(rows)
    order = order[np.argsort(columns["kind"][order] == "far", kind="stable")]
    return np.split(order, range(50, rows, 50))


def test_an_object_of_a_program_makes_the_batches(tmp_path: Path) -> None:
    sampler = {"use": "live:drawn", "columns": ["kind"]}
    plan = specs.compiled(
        specs.train(sampler=sampler), columns=columns(), tags=["kind"], live={"drawn": drawn}
    )
    [phase] = plan.plan.phases
    assert isinstance(phase, Train)
    [feed] = phase.all_feeds
    assert (feed.samples, feed.steps, feed.batch_size) == (400, 8, 50)
    assert feed.sampler.component.live is not None
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json").plan == plan.plan
    rows = specs.rows_of(500, "train")
    outcome = specs.run(plan, tmp_path)
    seen = specs.recorded(outcome, "train", "sample_id")
    kinds = {"kind": columns()["kind"][rows]}
    expected = [
        rows[batch]
        for epoch in range(2)
        for batch in drawn(400, epoch, np.random.default_rng([feed.sampler.seed, epoch]), kinds)
    ]
    for numbers, wanted in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(numbers, wanted)


def pairs(rows: int, _epoch: int, generator: np.random.Generator) -> Any:
    """Each row with one of the rows at random, in batches of 64."""
    order, others = generator.permutation(rows), generator.integers(0, rows, rows)
    for start in range(0, rows, 64):
        yield {"one": order[start : start + 64], "other": others[start : start + 64]}


def test_a_sampler_of_ones_own_gives_rows_roles(tmp_path: Path) -> None:
    arguments = ["outputs.one", "outputs.other"]
    plan = specs.compiled(
        specs.train(sampler={"use": "live:pairs"}),
        losses={"mse": {"use": "mse", "node": "Net", "args": arguments}},
        live={"pairs": pairs},
    )
    [phase] = plan.plan.phases
    assert isinstance(phase, Train)
    [feed] = phase.all_feeds
    assert (feed.sampler.roles, feed.samples, feed.steps) == (("one", "other"), 400, 7)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json").plan == plan.plan
    outcome = specs.run(plan, tmp_path)

    rows = specs.rows_of(500, "train")
    x = torch.tensor(specs.regression()["x"][rows], dtype=torch.float32)
    specs.seeded("init/Net")
    net = build_module(
        "mlp", plan.plan.graph.nodes["Net"].component.args, input_shape=(10,), output_shape=(1,)
    )
    optimizer, losses = torch.optim.Adam(net.parameters(), lr=1e-3), []
    for epoch in range(2):
        for batch in pairs(400, epoch, np.random.default_rng([feed.sampler.seed, epoch])):
            value = torch.nn.functional.mse_loss(net(x[batch["one"]]), net(x[batch["other"]]))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.item())
    assert specs.values(outcome, "train", "mse", whole=False) == losses
    assert specs.same_weights(net, outcome.state.nodes["Net"])


def test_a_role_that_a_sampler_of_ones_own_does_not_give() -> None:
    losses = {"mse": {"use": "mse", "node": "Net", "args": ["outputs.one", "outputs.othr"]}}
    said = r"SP724.*the roles `one`, `other` here(.|\n)*`outputs.other`"
    with pytest.raises(SpecError, match=said):
        specs.compiled(
            specs.train(sampler={"use": "live:pairs"}), losses=losses, live={"pairs": pairs}
        )


@pytest.mark.parametrize(
    ("sampler", "value", "message"),
    [
        ({}, 3, "SP406.*a sampler is called with rows, epoch and generator"),
        ({}, min, "SP604.*`live:mine` failed with 400 rows, TypeError"),
        ({}, lambda rows, _epoch, _generator: [[rows]], "SP604.*gave the row 400 in epoch 0"),
        ({"batch_size": 3}, min, "SP403.*takes no argument `batch_size`"),
        ({"columns": ["no"]}, min, "SP302.*has no column `no`"),
    ],
    ids=["number", "min", "beyond", "argument", "column"],
)
def test_what_is_wrong_with_an_object_is_told(sampler: Any, value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        specs.compiled(specs.train(sampler={"use": "live:mine", **sampler}), live={"mine": value})


@pytest.mark.parametrize(
    ("kind", "instead"),
    [("scaler", "`fit_transform`"), ("splitter", "`add_split`"), ("merge", "FILE.py:NAME")],
)
def test_an_object_of_a_program_is_no_scaler_splitter_or_merge(kind: str, instead: str) -> None:
    live = {"use": "live:mine"}
    changes: dict[str, dict[str, Any]] = {
        "scaler": {"scale": [{**live, "columns": ["x"]}]},
        "splitter": {"splits": live},
        "merge": {"nodes": {"Net": {"merge": live, "input": ["Set.x"], "target": "Set.y"}}},
    }
    said = f"SP406.*a {kind} is built in, or code(.|\n)*hint: .*{instead}"
    with pytest.raises(SpecError, match=said):
        specs.compiled(specs.train(), live={"mine": min}, **changes[kind])
