from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from specplan.plan.compile import compile_mapping
from specplan.run.builder import Builder
from specplan.run.context import Context
from specplan.run.feeding import Feeding
from specplan.run.state import State
from specplan.run.tables import read_tables

if TYPE_CHECKING:
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
    parts: dict[str, Any] = dict.fromkeys(("recorder", "journal", "display", "interruption"))
    context = Context(plan=plan.plan, tables=read_tables(plan), state=state, **parts)
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
