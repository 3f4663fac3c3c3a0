"""There is one way to run: what the objects run is what their spec runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import specplan
from specplan import EvalPhase, SimpleSampler, TrainPhase
from specplan.plan.compile import compile_mapping
from specplan.results.open import Run, open_run
from specplan.run.display import Silent
from specplan.run.run import run_plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.objects.parts import Parts


def train_phase(parts: Parts, epochs: int = 2) -> TrainPhase:
    return TrainPhase.from_split(
        "train", "train", SimpleSampler(8, shuffle=True, seed=1), [parts.loss], epochs
    )


def outputs(run: Run, phase: str) -> np.ndarray:
    return run.tensors("MLP", "outputs", phase=phase).stacked()


def test_a_phase_gives_the_bits_of_its_spec(parts: Parts, tmp_path: Path) -> None:
    phase = train_phase(parts)
    results = parts.experiment.run_phase(phase)
    parts.experiment.execution_plan.add_phase(phase)
    tables = {"Sensor": parts.feature_set.columns}
    compiled = compile_mapping(parts.experiment.to_spec(), folder=tmp_path, tables=tables)
    outcome = run_plan(compiled, root=tmp_path / "runs", display=Silent())
    np.testing.assert_array_equal(
        results.tensors("MLP").stacked(), outputs(open_run(outcome.folder.path), "train")
    )
    assert results.run.plan.id == compiled.plan.id


def test_the_front_door_gives_the_same_plan_and_bits(parts: Parts, tmp_path: Path) -> None:
    parts.experiment.execution_plan.add_phase(train_phase(parts))
    results = parts.experiment.run()
    tables = {"Sensor": parts.feature_set.columns}
    plan = specplan.compile(parts.experiment.to_spec(), tables=tables)
    run = plan.run(root=tmp_path)
    np.testing.assert_array_equal(
        results.get_train_result().tensors("MLP").stacked(), outputs(run, "train")
    )
    assert specplan.open(run.folder.path).plan.id == plan.id


def test_two_calls_are_one_run_of_two_phases(parts: Parts) -> None:
    """Weights and the optimizer's state go on, so that 1 + 1 epochs are 2 epochs of one batch order."""
    sampler = SimpleSampler(8)
    one, two = (TrainPhase.from_split("t", "train", sampler, [parts.loss], n) for n in (1, 2))
    parts.experiment.preview_phase(one)
    together = parts.experiment.preview_phase(two).tensors("MLP").where(epoch=1).stacked()
    parts.experiment.run_phase(one)
    apart = parts.experiment.run_phase(one).tensors("MLP").stacked()
    np.testing.assert_array_equal(apart, together)


def test_a_preview_leaves_no_trace(parts: Parts) -> None:
    phase = train_phase(parts)
    fresh = parts.experiment.preview_phase(phase)
    first = parts.experiment.run_phase(phase)
    np.testing.assert_array_equal(fresh.tensors("MLP").stacked(), first.tensors("MLP").stacked())
    previewed = parts.experiment.preview_phase(phase)
    second = parts.experiment.run_phase(phase)
    np.testing.assert_array_equal(
        previewed.tensors("MLP").stacked(), second.tensors("MLP").stacked()
    )
    assert len(parts.experiment.history) == 2


def test_a_split_has_the_rows_of_the_plan(parts: Parts) -> None:
    results = parts.experiment.run_phase(EvalPhase.from_split("eval", "test"))
    context = results.execution_contexts().one()
    rows = np.arange(len(parts.feature_set))
    np.random.default_rng(3).shuffle(rows)
    np.testing.assert_array_equal(context.sample_ids, rows[-(len(rows) // 4) :])


def test_recording_keeps_all_the_last_or_no_epoch(parts: Parts) -> None:
    sampler = SimpleSampler(8, shuffle=True, seed=1)
    counts = []
    for mode in specplan.ResultRecording:
        phase = TrainPhase.from_split(
            f"train_{mode}", "train", sampler, [parts.loss], 2, result_recording=mode
        )
        results = parts.experiment.preview_phase(phase)
        counts.append(len(results.execution_contexts()))
        assert len(results.metrics(name="train_loss")) == 2 * (6 + 1)
    assert counts == [12, 6, 0]
