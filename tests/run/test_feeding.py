from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch

from specplan._native import StoreReader
from specplan.errors import RunError, SpecError
from specplan.plan.by_feed import tables_of
from specplan.plan.compile import compile_mapping
from specplan.plan.model import Train
from specplan.results.open import open_run
from specplan.results.query import query
from specplan.run.builder import Builder
from specplan.run.context import Context
from specplan.run.feeding import Feeding
from specplan.run.state import State
from specplan.run.tables import read_tables
from tests.cli.conftest import run_mlx
from tests.run.specs import recorded, run, values

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled

TRIPLET = {
    "use": "triplet",
    "pos_conditions": {"k": {}},
    "neg_conditions": {"k": {"mode": "dissimilar"}},
    "shuffle": True,
}
SIMPLE = {"use": "simple", "shuffle": True}


def compiled(**phase: Any) -> Compiled:
    rng = np.random.default_rng(0)
    tables = {
        name: {
            "x": rng.standard_normal((rows, 4)),
            "y": rng.standard_normal(rows),
            "k": rng.integers(0, 3, rows),
        }
        for name, rows in (("a", 50), ("b", 34))
    }
    spec = {
        "specplan": 1,
        "experiment": {"id": "tests"},
        "data": {
            name.upper(): {
                "source": {"use": "memory", "name": name},
                "features": ["x"],
                "targets": ["y"],
                "tags": ["k"],
            }
            for name in tables
        },
        "graph": {
            "nodes": {
                node: {"model": {"use": "mlp"}, "input": f"{data}.x", "target": f"{data}.y"}
                for node, data in (("One", "A"), ("Two", "B"))
            },
            "optimizer": {"use": "sgd"},
        },
        "losses": {
            "one": {"use": "mse", "node": "One"},
            "two": {"use": "mse", "node": "Two"},
            "near": {"use": "mse", "node": "One", "args": ["outputs.anchor", "outputs.positive"]},
        },
        "plan": [{"phase": "train", "label": "train", "epochs": 2, **phase}],
    }
    return compile_mapping(spec, tables=tables)


def feeding(plan: Compiled) -> Feeding:
    state = State()
    state.builder = Builder()
    state.add_nodes(plan.plan)
    parts: dict[str, Any] = dict.fromkeys(
        ("recorder", "journal", "display", "interruption", "checkpoints")
    )
    context = Context(plan=plan.plan, tables=read_tables(plan, State()), state=state, **parts)
    (phase,) = plan.plan.phases
    return Feeding(phase, context)  # type: ignore[arg-type]


def inputs(size: int, **more: Any) -> list[dict[str, Any]]:
    sampler = {**SIMPLE, "batch_size": size, **more}
    return [{"node": node, "sampler": sampler} for node in ("One", "Two")]


SCHEDULES = ("zip_strict", "zip_cycle", "alternate_strict", "alternate_cycle")
PHASES: list[dict[str, Any]] = [
    *({"inputs": inputs(8), "batch_schedule": s, "losses": ["one", "two"]} for s in SCHEDULES),
    {"sampler": {**SIMPLE, "batch_size": 7, "group_by": "k"}, "losses": ["one"]},
    {"sampler": {**SIMPLE, "batch_size": 7, "stratify_by": "k"}, "losses": ["one"]},
    {"sampler": {**TRIPLET, "batch_size": 16}, "losses": ["near"]},
    {"sampler": {**SIMPLE, "batch_size": 7, "drop_last": True}, "losses": ["one"]},
]


@pytest.mark.parametrize("phase", PHASES)
def test_an_epoch_begins_at_any_batch(phase: dict[str, Any]) -> None:
    fed = feeding(compiled(**phase))
    with torch.no_grad():
        whole = [(turn, [*map(torch.clone, rows)]) for turn, rows in fed.epoch(1)]
        assert len(whole) == fed._phase.steps
        for start in range(len(whole) + 1):
            rest = list(fed.epoch(1, start))
            assert len(rest) == len(whole) - start
            for (turn, rows), (other, again) in zip(whole[start:], rest, strict=True):
                assert turn == other
                assert all(torch.equal(*pair) for pair in zip(rows, again, strict=True))


def test_inputs_with_one_sampler_are_read_together() -> None:
    plan = compiled(
        inputs=[
            {"node": "One", "sampler": {**SIMPLE, "seed": 3}},
            {"node": "Two", "sampler": {**SIMPLE, "seed": 3}, "stream": "other"},
        ],
        losses=["one", "two"],
    )
    (phase,) = plan.plan.phases
    assert [feed.nodes for feed in phase.feeds] == [("One",), ("Two",)]  # type: ignore[union-attr]
    assert phase.steps == 34


def test_epochs_differ_and_are_the_same_again() -> None:
    fed = feeding(compiled(**PHASES[0]))
    epochs = [torch.cat([rows[0] for _, rows in fed.epoch(epoch)]) for epoch in (0, 1, 0)]
    assert [torch.equal(one, other) for one, other in pairwise(epochs)] == [False, False]
    assert torch.equal(epochs[0], epochs[2])


def joined(rows: int, **phase: Any) -> Compiled:
    """Two encoders of rows of `A`, 50 of them, and of `B`, joined by a head."""
    rng = np.random.default_rng(0)
    tables = {
        "a": {"x": rng.standard_normal((50, 4)), "y": rng.standard_normal(50)},
        "b": {"z": rng.standard_normal((rows, 3))},
    }
    encoder = {"use": "mlp", "output_shape": [4]}
    spec = {
        "specplan": 1,
        "experiment": {"id": "tests"},
        "run": {"threads": 1},
        "data": {
            "A": {
                "source": {"use": "memory", "name": "a"},
                "features": ["x"],
                "targets": ["y"],
            },
            "B": {"source": {"use": "memory", "name": "b"}, "features": ["z"]},
        },
        "graph": {
            "nodes": {
                "One": {"model": encoder, "input": "A.x"},
                "Two": {"model": encoder, "input": "B.z"},
                "Both": {"merge": {"use": "concat"}, "input": ["One", "Two"]},
                "Head": {"model": {"use": "mlp"}, "input": "Both", "target": "A.y"},
            },
            "optimizer": {"use": "adam"},
        },
        "losses": {"mse": {"use": "mse", "node": "Head"}},
        "metrics": {"rmse": {"use": "rmse", "node": "Head"}},
        "plan": [
            {"phase": "train", "label": "train", "losses": ["mse"], **phase},
            {"phase": "eval", "label": "eval", "losses": ["mse"], "metrics": ["rmse"]},
        ],
    }
    return compile_mapping(spec, tables=tables)


def heads(**sampler: Any) -> list[dict[str, Any]]:
    return [{"node": node, "sampler": {**SIMPLE, **sampler}} for node in ("One", "Two")]


def test_rows_of_two_feature_sets_meet_in_a_node(tmp_path: Path) -> None:
    made = joined(50, inputs=heads(batch_size=16, seed=3))
    outcome = run(made, tmp_path)
    for label in ("A", "B"):
        (channel,) = (
            each
            for each in StoreReader.open(str(outcome.folder.records)).tensors()
            if (each.phase, each.node, each.field) == ("train", label, "sample_id")
        )
        ids = np.concatenate([channel.at(position) for position in range(channel.batches)])
        assert np.array_equal(ids, np.random.default_rng([3, 0]).permutation(50))
    assert recorded(outcome, "eval", "outputs")[0].shape == (50, 1)
    assert values(outcome, "eval", "rmse")[0] == pytest.approx(
        values(outcome, "eval", "mse")[0] ** 0.5, rel=1e-6
    )


@pytest.mark.parametrize(
    ("rows", "inputs", "codes"),
    [
        (50, heads(batch_size=16), []),
        (40, heads(batch_size=16), ["SP307", "SP723"]),
        (50, [heads(batch_size=16)[0], heads(batch_size=8)[1]], ["SP723"]),
        (50, heads(batch_size=16)[:1], ["SP720"]),
    ],
)
def test_rows_that_meet_are_as_many(
    rows: int, inputs: list[dict[str, Any]], codes: list[str]
) -> None:
    try:
        joined(rows, inputs=inputs)
        found = []
    except SpecError as error:
        found = sorted({fault.code for fault in error.diagnostics})
    assert found == codes


def test_inputs_that_take_turns_do_not_meet() -> None:
    with pytest.raises(SpecError, match="Both reads several inputs, which take turns") as caught:
        joined(50, inputs=heads(batch_size=16), batch_schedule="alternate_cycle")
    assert [fault.code for fault in caught.value.diagnostics] == ["SP723"]


def turns(*sizes: tuple[str, str, int], **more: Any) -> list[dict[str, Any]]:
    return [
        {"node": node, "from": data, "sampler": {**SIMPLE, "batch_size": size}, **more}
        for node, data, size in sizes
    ]


@pytest.mark.parametrize("schedule", ["zip_cycle", "alternate_cycle"])
def test_feeds_of_other_row_counts_have_a_table_each(schedule: str, tmp_path: Path) -> None:
    read = turns(("One", "A", 8), ("Two", "B", 10))
    plan = compiled(inputs=read, batch_schedule=schedule, losses=["one", "two"])
    folder = run(plan, tmp_path).folder
    names = ["execution-train.A.parquet", "execution-train.B.parquet"]
    assert sorted(file.name for file in folder.tables.glob("execution-*")) == names
    opened = open_run(folder.path)
    for data, node, other in [("A", "One", "Two"), ("B", "Two", "One")]:
        table = opened.execution(f"train.{data}").to_polars()
        assert f"{node}.outputs" in table.columns
        assert f"{other}.outputs" not in table.columns
        assert set(table["sample_id"]) == set(range(opened.plan.data[data].rows))
        tensors = opened.tensors(node)
        for (epoch, batch), rows in table.group_by(["epoch", "batch"], maintain_order=True):
            assert np.array_equal(rows[f"{node}.outputs"].to_numpy(), tensors[epoch, batch])
    written = {name: (folder.tables / name).read_bytes() for name in names}
    for name in names:
        (folder.tables / name).unlink()
    assert run_mlx("export", str(folder.path)).returncode == 0
    assert {name: (folder.tables / name).read_bytes() for name in names} == written
    with pytest.raises(RunError, match="each has a table: `train.A`, `train.B`$"):
        opened.execution("train")
    counted = query([opened], "select count(*) as n from execution_train_B").to_polars()
    assert counted["n"][0] == len(opened.execution("train.B").arrow)


def test_feeds_of_one_feature_set_are_told_apart_by_their_nodes() -> None:
    feeds = compiled(
        inputs=turns(("One", "A", 8), ("Two", "B", 10)),
        batch_schedule="zip_cycle",
        losses=["one", "two"],
    ).plan
    (phase,) = feeds.phases
    assert isinstance(phase, Train)
    both = [msgspec.structs.replace(feed, data="A") for feed in phase.feeds]
    same = msgspec.structs.replace(phase, feeds=tuple(both))
    assert list(tables_of(feeds.graph, same)) == ["train.A.One", "train.A.Two"]
    one = msgspec.structs.replace(phase, feeds=(both[0],) * 2)
    assert tables_of(feeds.graph, one) == {"train": None}, "rows of equal number make one table"
