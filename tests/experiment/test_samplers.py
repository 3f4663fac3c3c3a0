from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specplan import (
    Experiment,
    FeatureSet,
    InputBinding,
    ModelGraph,
    ModelNode,
    Optimizer,
    SequentialMLP,
    SimilarityCondition,
    SimpleSampler,
    TrainPhase,
)
from tests.experiment.parts import mse

SIMILAR, OTHER = SimilarityCondition(), SimilarityCondition(mode="dissimilar")


def set_of(label: str, rows: int) -> FeatureSet:
    rng = np.random.default_rng(rows)
    columns = {
        "x": rng.standard_normal((rows, 4)),
        "y": rng.standard_normal((rows, 1)),
        "cell": rng.integers(0, 3, rows).astype(str),
    }
    return FeatureSet.from_dict(label, columns, "x", "y", "cell")


def two_heads(rows: tuple[int, int] = (96, 64)) -> tuple[Experiment, list[ModelNode]]:
    experiment = Experiment("exp")
    nodes = [
        ModelNode(label, SequentialMLP(), set_of(source, count).reference("x", "y"))
        for label, source, count in zip(("One", "Two"), ("A", "B"), rows, strict=True)
    ]
    ModelGraph(nodes=nodes, optimizer=Optimizer("adam", backend="torch")).build()
    return experiment, nodes


def train(nodes: list[ModelNode], samplers: list[Any], **changes: Any) -> TrainPhase:
    bindings = [
        InputBinding.for_training(node, sampler)
        for node, sampler in zip(nodes, samplers, strict=True)
    ]
    losses = [mse(node, f"loss_{node.label}") for node in nodes]
    return TrainPhase("train", input_sources=bindings, losses=losses, **changes)


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [("zip_strict", 2), ("zip_cycle", 3), ("alternate_strict", 4), ("alternate_cycle", 6)],
)
def test_a_schedule_decides_how_batches_make_steps(schedule: str, steps: int) -> None:
    experiment, nodes = two_heads()
    phase = train(nodes, [SimpleSampler(32), SimpleSampler(32)], batch_schedule=schedule)
    results = experiment.run_phase(phase)
    (planned,) = results.run.plan.phases
    assert planned.steps == steps
    rows = results.run.metrics().arrow.to_pylist()
    losses = [
        [
            row["value"]
            for row in rows
            if row["name"] == f"loss_{label}" and row["batch"] is not None
        ]
        for label in ("One", "Two")
    ]
    assert [len(values) for values in losses] == [steps, steps]
    idle = [[value == 0.0 for value in values] for values in losses]
    if schedule.startswith("zip"):
        assert not any(map(any, idle))
    else:
        assert idle == [
            [step % 2 == 1 for step in range(steps)],
            [step % 2 == 0 for step in range(steps)],
        ]
    first, second = (
        [ids.tolist() for ids in results.run.tensors(name, "sample_id").values()] for name in "AB"
    )
    each = steps if schedule.startswith("zip") else steps // 2
    assert first == [list(range(32 * n, 32 * n + 32)) for n in range(each)]
    assert second == [list(range(32 * (n % 2), 32 * (n % 2) + 32)) for n in range(each)]
