"""Evaluation and early stopping between the epochs of a train phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from specplan import (
    AppliedLoss,
    Callback,
    EarlyStopping,
    EvalLossMetric,
    EvalPhase,
    Evaluation,
    Experiment,
    LearningRate,
    Loss,
    MetricResult,
    ReduceOnPlateau,
    SimpleSampler,
    TrainPhase,
)
from specplan.store.recorder import beside

if TYPE_CHECKING:
    from specplan.objects.phase_results import PhaseResults
    from tests.objects.parts import Parts


def train(parts: Parts, *callbacks: Any, n_epochs: int = 3, **options: Any) -> TrainPhase:
    return TrainPhase.from_split(
        "train",
        "train",
        SimpleSampler(30),
        [parts.loss],
        n_epochs=n_epochs,
        callbacks=callbacks,
        **options,
    )


def logged(results: PhaseResults, name: str) -> dict[int | None, float]:
    """The values of a metric by epoch."""
    return {
        entry.epoch_idx: entry.value
        for entry in results.metrics(name=name).values()
        if entry.batch_idx is None
    }


def test_it_is_run_after_every_n_epochs(parts: Parts) -> None:
    watch = Evaluation(EvalPhase.from_split("eval", "test", [parts.loss]), every_n_epochs=2)
    results = parts.experiment.run_phase(train(parts, watch, n_epochs=5))
    assert list(logged(results, "test_loss")) == [1, 3]
    assert logged(results, "test_loss") == logged(results, "test_mse")


def test_it_can_be_run_before_the_first_epoch_too(parts: Parts) -> None:
    evaluation = EvalPhase.from_split("eval", "test", [parts.loss])
    before = parts.experiment.preview_phase(evaluation).metrics(name="eval_loss").one().value
    watch = Evaluation(evaluation, run_on_start=True)
    results = parts.experiment.run_phase(train(parts, watch, n_epochs=2))
    losses = logged(results, "test_loss")
    assert list(losses) == [None, 0, 1]
    assert losses[None] == before


def test_its_outputs_are_those_of_an_eval_phase(parts: Parts) -> None:
    evaluation = EvalPhase.from_split("eval", "test", [parts.loss], batch_size=10)
    watch = Evaluation(evaluation)
    results = parts.experiment.run_phase(train(parts, watch, n_epochs=2))
    last = parts.experiment.run_phase(evaluation).tensors("MLP", "outputs")
    place = beside("train", "test")
    recorded = results.run.tensors("MLP", "outputs", phase=place)
    assert list(recorded) == [(epoch, batch) for epoch in (0, 1) for batch in (0, 1)]
    for batch in (0, 1):
        np.testing.assert_array_equal(recorded[1, batch], last[0, batch])
    np.testing.assert_array_equal(
        np.concatenate(list(results.run.tensors("Sensor", "sample_id", phase=place).values())[:2]),
        parts.feature_set.get_split("test").indices,
    )


def test_it_changes_no_bit_of_the_training(parts: Parts) -> None:
    watch = Evaluation.from_split("eval", "test", [parts.loss], run_on_start=True)
    plain = parts.experiment.preview_phase(train(parts)).tensors("MLP").stacked()
    watched = parts.experiment.preview_phase(train(parts, watch)).tensors("MLP").stacked()
    np.testing.assert_array_equal(plain, watched)


def test_it_needs_no_loss(parts: Parts) -> None:
    watch = Evaluation.from_split("eval_test", "test")
    results = parts.experiment.run_phase(train(parts, watch, n_epochs=2))
    assert results.metric_names() == ["train_loss", "mse"]
    recorded = results.run.tensors("MLP", "outputs", phase=beside("train", "test"))
    assert list(recorded) == [(0, 0), (1, 0)]


def test_a_loss_can_be_a_metric_under_a_name_of_its_own(parts: Parts) -> None:
    swapped = AppliedLoss(Loss("mse", backend="torch"), "MLP", ["targets", "outputs"], weight=0.5)
    metrics = [
        EvalLossMetric(swapped, name="half"),
        EvalLossMetric(swapped, "sum", name="test_loss"),
        EvalLossMetric(parts.loss, name="score"),
    ]
    watch = Evaluation.from_split("eval", "test", [parts.loss], batch_size=10, metrics=metrics)
    results = parts.experiment.run_phase(train(parts, watch, n_epochs=1))
    assert set(results.metric_names()) == {
        "train_loss",
        "mse",
        "test_mse",
        "test_mse_test",
        "half",
        "score",
        "test_loss",
    }
    value = logged(results, "test_mse")[0]
    assert logged(results, "test_mse_test")[0] == pytest.approx(value)
    assert logged(results, "half")[0] == pytest.approx(value / 2)
    assert logged(results, "score")[0] == value
    batches = parts.experiment.run_phase(
        EvalPhase.from_split("eval", "test", [parts.loss], batch_size=10)
    ).metrics(name="mse")
    sizes = [entry.value for entry in batches.values() if entry.batch_idx is not None]
    assert logged(results, "test_loss")[0] == pytest.approx(sum(sizes) / 2)


def test_early_stopping_monitors_what_is_evaluated_under_that_name(parts: Parts) -> None:
    watch = Evaluation.from_split("eval", "test", metrics=[EvalLossMetric(parts.loss)])
    stop = EarlyStopping(patience=1, min_delta=100.0)
    results = parts.experiment.run_phase(train(parts, watch, stop, n_epochs=9))
    assert list(logged(results, "val_loss")) == [0, 1]


def test_a_metric_that_is_missing_in_an_epoch_is_no_improvement(parts: Parts) -> None:
    results = parts.experiment.run_phase(train(parts, EarlyStopping(patience=2), n_epochs=9))
    assert list(logged(results, "train_loss")) == [0, 1]
    rare = Evaluation.from_split("eval", "test", [parts.loss], every_n_epochs=5)
    stop = EarlyStopping(monitor="test_loss")
    results = parts.experiment.run_phase(train(parts, rare, stop, n_epochs=12))
    assert list(logged(results, "train_loss"))[-1] == 11
    stop = EarlyStopping(monitor="test_loss", patience=2)
    results = parts.experiment.run_phase(train(parts, rare, stop, n_epochs=12))
    assert list(logged(results, "train_loss")) == [0, 1]


@pytest.mark.parametrize(
    ("reducer", "last_epoch"), [("last", 2), ("first", 1), ("mean", 1), ("max", 1), ("min", 2)]
)
def test_one_of_several_values_of_an_epoch_counts(
    parts: Parts, reducer: Any, last_epoch: int
) -> None:
    class Twice(Callback):
        values = ((5.0, 4.0), (6.0, 3.0), (6.0, 3.5), (1.0, 1.0))

        def on_batch_end(self, exec_ctx: Any) -> MetricResult:  # type: ignore[override]
            return MetricResult("score", self.values[exec_ctx.epoch_idx][exec_ctx.batch_idx])

    stop = EarlyStopping(monitor="score", patience=1, reducer=reducer)
    results = parts.experiment.run_phase(train(parts, Twice(), stop, n_epochs=4))
    assert list(logged(results, "train_loss"))[-1] == last_epoch


def test_wrong_arguments_are_told(parts: Parts) -> None:
    with pytest.raises(TypeError, match=r"^the loss of a metric is an AppliedLoss, not str$"):
        EvalLossMetric("mse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^`max` is no reducer; known: `mean`, `sum`$"):
        EvalLossMetric(parts.loss, "max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^`train_loss` is the name of the loss that is trained"):
        EvalLossMetric(parts.loss, name="train_loss")
    message = r"^a metric of an Evaluation is an EvalLossMetric, not AppliedLoss$"
    with pytest.raises(TypeError, match=message):
        Evaluation.from_split("eval", "test", metrics=[parts.loss])  # type: ignore[list-item]
    evaluation = EvalPhase.from_split("eval", "test", [parts.loss], callbacks=[Callback()])
    with pytest.raises(
        ValueError, match=r"^`eval` has callbacks, which an Evaluation cannot call$"
    ):
        Evaluation(evaluation)


def test_a_spec_has_all_of_it(parts: Parts) -> None:
    metrics = [EvalLossMetric(parts.loss, "sum", name="total"), EvalLossMetric(parts.loss)]
    watch = Evaluation.from_split("eval", "test", run_on_start=True, metrics=metrics)
    rate = LearningRate(schedule="linear", warmup=2)
    plateau = ReduceOnPlateau(factor=0.5, patience=3)
    phase = train(parts, watch, EarlyStopping(), rate, plateau)
    parts.experiment.execution_plan.add_phase(phase)
    spec = parts.experiment.to_spec()
    again = Experiment.from_spec(spec, [parts.feature_set])
    assert again.to_spec() == spec


def test_the_learning_rate_changes_from_step_to_step(parts: Parts) -> None:
    rates: list[float] = []

    class Looking(Callback):
        def on_batch_end(self, experiment: Any) -> None:  # type: ignore[override]
            (group,) = experiment._calls.live.state.optimizer.param_groups
            rates.append(group["lr"])

    rate = LearningRate(schedule="step", gamma=0.5)
    parts.experiment.run_phase(train(parts, Looking(), rate, n_epochs=3))
    assert rates == [0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025]
    rates.clear()
    parts.experiment.run_phase(train(parts, Looking(), n_epochs=1))
    assert rates == [0.01, 0.01]
    with pytest.raises(ValueError, match=r"^callback `learning_rate`: `schedule`: Invalid enum"):
        train(parts, LearningRate(schedule="sudden"))  # type: ignore[arg-type]
