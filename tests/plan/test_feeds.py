from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from specplan.errors import PlanError, SpecError
from specplan.plan.by_feed import by_feed
from specplan.plan.canonical import canonical, read_plan, write_plan
from specplan.plan.compile import compile_document
from specplan.plan.cost import cost
from specplan.plan.model import Train
from specplan.plan.passes.context import CodeUse
from specplan.plan.verify import verify
from specplan.spec.load import from_mapping
from tests.run.test_feeding import PHASES, compiled

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("phase", PHASES)
def test_a_plan_with_feeds_is_read_back_and_holds_together(
    phase: dict[str, Any], tmp_path: Path
) -> None:
    made = compiled(**phase)
    write_plan(made, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json").plan == made.plan
    verify(made.plan)


@pytest.mark.parametrize("phase", PHASES[:4])
def test_every_feed_counts_its_rows(phase: dict[str, Any]) -> None:
    made = compiled(**phase)
    (train,) = made.plan.phases
    assert isinstance(train, Train)
    parts = by_feed(made.plan.graph, train)
    counted = [part.all_feeds[0].samples for part in parts]
    expected = {
        "zip_strict": [40, 34],
        "zip_cycle": [50, 34 + 16],
        "alternate_strict": [40, 34],
        "alternate_cycle": [50, 34 + 16],
    }
    assert counted == expected[train.schedule]
    (bill,) = cost(made.plan).phases
    assert bill.steps == 2 * train.steps


def test_a_phase_with_one_feed_says_nothing_new() -> None:
    simple = {"sampler": {"use": "simple", "batch_size": 8, "seed": 1}, "losses": ["one"]}
    long = {
        "inputs": [{"node": "One", "from": "A", "sampler": simple["sampler"]}],
        "batch_schedule": "zip_cycle",
        "losses": ["one"],
    }
    short = compiled(**simple).plan
    assert compiled(**long).plan.id == short.id
    written = msgspec.json.decode(msgspec.json.encode(canonical(short)))
    assert written["phases"][0]["sampler"]["component"]["args"].keys() == {
        "batch_size",
        "shuffle",
        "drop_last",
        "seed",
        "reshuffle",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 3}, "has 3 steps, its feeds make 5"),
        ({"schedule": "zip_cycle"}, "has 5 steps, its feeds make 7"),
        ({"rows": 49}, "reads the wrong rows of A"),
    ],
)
def test_a_plan_that_was_changed_is_refused(change: dict[str, Any], message: str) -> None:
    plan = compiled(**PHASES[0]).plan
    changed = msgspec.structs.replace(plan.phases[0], **change)
    with pytest.raises(PlanError, match=message):
        verify(msgspec.structs.replace(plan, phases=(changed,)))


def test_a_loss_of_ones_own_gives_no_value_for_each_tuple(tmp_path: Path) -> None:
    (tmp_path / "losses.py").write_text("def near(one, other):\n    return (one - other).mean()\n")
    rng = np.random.default_rng(0)
    table = {"x": rng.standard_normal((20, 3)), "y": rng.standard_normal(20)}
    weighted = {"x": {"tolerance": 9, "weight_mode": "exp"}}
    spec = {
        "specplan": 1,
        "experiment": {"id": "tests"},
        "data": {
            "A": {
                "source": {"use": "memory", "name": "a"},
                "features": ["x"],
                "targets": ["y"],
            }
        },
        "graph": {
            "nodes": {"One": {"model": {"use": "mlp"}, "input": "A.x", "target": "A.y"}},
            "optimizer": {"use": "sgd"},
        },
        "losses": {
            "near": {
                "use": "./losses.py:near",
                "node": "One",
                "args": ["outputs.anchor", "outputs.positive"],
            }
        },
        "plan": [
            {
                "phase": "train",
                "label": "train",
                "sampler": {"use": "paired", "conditions": weighted},
                "losses": ["near"],
            }
        ],
    }
    document = from_mapping(spec, folder=tmp_path)
    with pytest.raises(SpecError) as caught:
        compile_document(document, tables={"a": table}, code=CodeUse(trust=True))
    assert [fault.code for fault in caught.value.diagnostics] == ["SP725"]
