"""What a phase left behind, as a program asks for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

import specplan
from specplan import (
    ArtifactResult,
    Callback,
    EarlyStopping,
    EvalPhase,
    Evaluation,
    FeatureSet,
    MetricResult,
    ModelGraph,
    ModelNode,
    PhaseGroup,
    RunError,
    SequentialMLP,
    SimpleSampler,
    TrainPhase,
)
from specplan.objects.group_results import group_results_of
from specplan.objects.phase_results import EvalResults, TrainResults, results_of
from specplan.store.checked_json import encode_checked
from specplan.store.run_file import Status
from tests.objects.parts import mse

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.run.callback import ExecutionMoment
    from tests.objects.parts import Parts


@pytest.fixture
def trained(parts: Parts) -> TrainResults:
    phase = TrainPhase.from_split("train", "train", SimpleSampler(16), [parts.loss], 2)
    results = parts.experiment.run_phase(phase)
    assert isinstance(results, TrainResults)
    return results


@pytest.fixture
def evaluated(parts: Parts) -> EvalResults:
    phase = EvalPhase.from_split("eval", "test", [parts.loss], batch_size=4)
    results = parts.experiment.run_phase(phase)
    assert isinstance(results, EvalResults)
    return results


def forget_best_epochs(results: TrainResults) -> None:
    """Make run.json what early versions have written."""
    path = results.run.folder.run_file
    written = msgspec.json.decode(path.read_bytes())
    del written["crc32"]
    assert written["phases"][0].pop("best") is not None
    path.write_bytes(encode_checked(written))
    results.run.refresh()


def test_metrics_are_found_by_name_epoch_and_batch(trained: TrainResults) -> None:
    metrics = trained.metrics()
    assert metrics.axes == ("name", "epoch", "batch")
    assert metrics.axis_values("batch") == [0, 1, 2, None]
    assert trained.metric_names() == metrics.axis_values("name") == ["train_loss", "mse"]
    whole = metrics.at(name="train_loss", epoch=1, batch=None)
    assert (whole.name, whole.epoch_idx, whole.batch_idx) == ("train_loss", 1, None)
    of_batches = metrics.where(name="train_loss", epoch=1, batch=lambda batch: batch is not None)
    assert of_batches.collapse("batch", "mean").one().value == np.mean(
        [entry.value for entry in of_batches.values()]
    )
    assert metrics.where(name="train_loss", batch=None).last(sort_by="epoch") == whole
    assert metrics.table.column_names == ["name", "epoch", "batch", "node", "split", "value"]
    assert "<td>train_loss</td>" in metrics._repr_html_()
    with pytest.raises(ValueError, match=r"^values of different names have no sum and no mean$"):
        metrics.collapse("name", "mean")
    with pytest.raises(
        RunError, match=r"no metric `train_los` was logged .*did you mean `train_loss`"
    ):
        trained.metrics("train_los")


def test_losses_are_found_by_epoch_batch_and_label(parts: Parts, trained: TrainResults) -> None:
    losses = trained.losses(parts.node)
    assert losses.axes == ("epoch", "batch", "label")
    assert len(losses) == 6
    epoch = losses.where(epoch=1)
    mean = epoch.collapse("batch", "mean").one()
    assert mean.trainable == np.mean([record.value for record in epoch.values()])
    assert mean.auxiliary is None
    assert epoch.trainable == math.fsum(record.value for record in epoch.values())
    assert epoch.auxiliary == 0.0
    assert losses.collapse("epoch", "sum").shape == {"batch": 3, "label": 1}
    assert losses.to_pandas()["value"].to_list() == [record.value for record in losses.values()]


def test_losses_count_with_their_weights(parts: Parts) -> None:
    def of_weight(weight: float) -> float:
        parts.loss.weight = weight
        phase = EvalPhase.from_split("eval", "test", [parts.loss])
        return parts.experiment.preview_phase(phase).losses("MLP").one().value

    assert of_weight(2.0) == pytest.approx(2 * of_weight(1.0))


def test_tensors_alias_the_files_and_are_given_in_the_format_asked_for(
    trained: TrainResults,
) -> None:
    outputs = trained.tensors("MLP", "outputs")
    assert outputs.axes == ("epoch", "batch")
    assert (len(outputs), outputs[1, 2].shape) == (6, (13, 1))
    assert not outputs[1, 2].flags.owndata
    torch_outputs = trained.tensors("MLP", "outputs", fmt="torch")
    joined = torch_outputs.where(epoch=1).collapse("batch", "concat").one()
    assert type(joined).__module__ == "torch"
    np.testing.assert_array_equal(joined.numpy(), outputs.where(epoch=1).stacked())
    assert trained.tensors("MLP", fmt="list")[0, 0] == outputs[0, 0].tolist()
    targets = trained.tensors("MLP", "targets").where(epoch=0).stacked()
    ids = trained.tensors("MLP", "sample_ids").where(epoch=0).stacked()
    assert targets.shape == (45, 1)
    assert sorted(ids) == sorted(set(ids.tolist()))
    with pytest.raises(ValueError, match=r"^there is no domain `output`; known: .* did you mean"):
        trained.tensors("MLP", "output")
    with pytest.raises(
        ValueError, match=r"^there is no format `tf`; known: `dict`, `dict_list`, `dict_numpy`"
    ):
        trained.tensors("MLP", fmt="tf")
    with pytest.raises(RunError, match=r"^the run has no node `MPL`; it has: `MLP`; did you mean"):
        trained.tensors("MPL")


def test_batches_and_contexts_hold_what_went_through(parts: Parts, trained: TrainResults) -> None:
    context = trained.execution_contexts().at(epoch=1, batch=2)
    batch = trained.batches(parts.node.id).at(epoch=1, batch=2)
    assert repr(context) == "ExecutionContext(epoch=1, batch=2)"
    assert repr(batch) == "Batch(13 rows, outputs [1])"
    np.testing.assert_array_equal(context.outputs["MLP"], batch.outputs)
    np.testing.assert_array_equal(context.targets["MLP"], batch.targets)
    np.testing.assert_array_equal(context.sample_ids, batch.sample_ids)
    assert context.losses.one() == trained.losses("MLP").at(epoch=1, batch=2, label="mse")


def test_an_evaluation_is_stacked(evaluated: EvalResults) -> None:
    assert (evaluated.n_batches, evaluated.batch_indices) == (4, [0, 1, 2, 3])
    outputs = evaluated.stacked_tensors("MLP", "outputs")
    batch = evaluated.stacked_batches("MLP")
    assert (outputs.shape, batch.batch_size) == ((15, 1), 15)
    np.testing.assert_array_equal(batch.outputs, outputs)
    of_batches = [record.value for record in evaluated.losses("MLP").values()]
    assert evaluated.aggregated_losses("MLP") == {"mse": np.mean(of_batches)}
    assert evaluated.aggregated_losses("MLP", reducer="sum") == {"mse": np.sum(of_batches)}
    assert evaluated.losses("MLP").first().auxiliary == of_batches[0]


def test_what_was_not_recorded_is_empty_and_scalars_are_there(parts: Parts) -> None:
    phase = TrainPhase.from_split(
        "train", "train", SimpleSampler(16), [parts.loss], 2, result_recording="none"
    )
    results = parts.experiment.run_phase(phase)
    assert len(results.execution_contexts()) == len(results.tensors("MLP")) == 0
    assert len(results.losses("MLP")) == 6
    assert len(results.execution_store) == 0


def test_last_with_restore_best_is_the_best_epoch(parts: Parts) -> None:
    watch = Evaluation(EvalPhase.from_split("eval", "test", [parts.loss]), name="val")
    stop = EarlyStopping(monitor="val_loss", mode="max", patience=2, restore_best=True)
    phase = TrainPhase.from_split(
        "train",
        "train",
        SimpleSampler(16),
        [parts.loss],
        9,
        callbacks=[watch, stop],
        result_recording="last",
    )
    results = parts.experiment.run_phase(phase)
    assert isinstance(results, TrainResults)
    losses = results.metrics("val_loss").values()
    best = int(np.argmax([entry.value for entry in losses]))
    assert best < results.n_epochs - 1
    assert results.last_epoch == results.best_epoch(direction="max") == best
    assert results.best_epoch("train_loss") == results.n_epochs - 1
    with pytest.raises(
        ValueError, match="has no metric `val_los`; it has: .*did you mean `val_loss`"
    ):
        results.best_epoch("val_los")
    with pytest.raises(ValueError, match="^direction is `min` or `max`, not 'up'$"):
        results.best_epoch(direction="up")  # type: ignore[arg-type]
    assert results.early_stopping_result is not None
    assert results.early_stopping_result.best_epoch == best
    assert results.execution_contexts().axis_values("epoch") == [best]
    assert results.tensors("MLP").axis_values("epoch") == [best]


def test_reading_is_the_same_after_the_program_is_gone(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECPLAN_HOME", str(tmp_path))
    train = TrainPhase.from_split("train", "train", SimpleSampler(16), [parts.loss], 2)
    evaluate = EvalPhase.from_split("eval", "test", [parts.loss])
    live = parts.experiment.run_group(PhaseGroup("outer", [PhaseGroup("inner", [train]), evaluate]))
    opened = group_results_of(specplan.open("exp"), "outer", "outer.")
    assert repr(opened) == repr(live)
    for before, after in zip(live.flatten().values(), opened.flatten().values(), strict=True):
        assert before.metrics().values() == after.metrics().values()
        outputs = before.tensors("MLP").stacked()
        np.testing.assert_array_equal(outputs, after.tensors("MLP").stacked())
    with pytest.raises(
        RunError, match=r"^the run has no phase `outer`; it has `outer.inner.train`"
    ):
        results_of(specplan.open("exp"), "outer")


def test_groups_are_walked_by_labels_joined_by_dots(parts: Parts) -> None:
    evaluate = EvalPhase.from_split("eval", "test", [parts.loss])
    results = parts.experiment.run_group(PhaseGroup("outer", [PhaseGroup("inner", [evaluate])]))
    inner = results.get_group_result()
    assert results["inner.eval"] is inner["eval"] is inner[0] is results["inner"][0]  # type: ignore[index]
    assert "inner.eval" in results
    assert "inner.train" not in results
    assert results.labels == ["inner"]
    assert isinstance(inner.get_phase_result(), EvalResults)
    with pytest.raises(KeyError, match="`inner` has no `evl`; it has: `eval`; did you mean"):
        results["inner.evl"]
    with pytest.raises(KeyError, match="`outer` has no `iner`; it has: `inner`; did you mean"):
        results["iner.eval"]


def test_the_history_is_also_told_by_phase(parts: Parts) -> None:
    train = TrainPhase.from_split("train", "train", SimpleSampler(16), [parts.loss])
    parts.experiment.execution_plan.add_phase(train)
    parts.experiment.execution_plan.add_phase(EvalPhase.from_split("eval", "test", [parts.loss]))
    parts.experiment.run()
    parts.experiment.run_phase(train)
    history = parts.experiment.history
    assert [run.label for run in history.flatten()] == ["train", "eval", "train"]
    first = history.flatten()[0]
    assert isinstance(first.results, TrainResults)
    assert first.duration_seconds <= history[0].duration_seconds
    assert list(history[0].phase_durations) == ["train", "eval"]
    assert history[0].metadata["run"] == history[0].run.id  # type: ignore[union-attr]
    assert len(repr(history).splitlines()) == 4


@pytest.mark.parametrize("text", ["completed", "COMPLETED", "done", "Done"])
def test_a_status_is_equal_to_its_names(text: str) -> None:
    assert text == Status.COMPLETED
    assert Status(text) is Status.COMPLETED
    assert text != Status.FAILED
    assert str(Status.COMPLETED) == "completed"
    assert Status("error") is Status.FAILED
    with pytest.raises(ValueError, match="'doing' is not a valid Status"):
        Status("doing")


class Told(Callback):
    """Returns one of each kind."""

    def on_epoch_end(  # type: ignore[override]
        self, exec_ctx: ExecutionMoment, results: TrainResults
    ) -> object:
        assert exec_ctx.epoch_idx is not None
        mean = results.losses("MLP").where(epoch=exec_ctx.epoch_idx).collapse("batch", "mean").one()
        return MetricResult("mean_loss", mean.value)

    def on_phase_end(self) -> object:  # type: ignore[override]
        return ArtifactResult("weights", np.arange(3))

    def on_phase_start(self) -> object:  # type: ignore[override]
        return {"rows": 45}


def test_what_callbacks_returned_is_found_by_kind_and_place(parts: Parts) -> None:
    watch = Evaluation(EvalPhase.from_split("eval", "test", [parts.loss]), name="val")
    stop = EarlyStopping(monitor="val_loss", mode="max", patience=2, restore_best=True)
    results = parts.experiment.run_phase(
        TrainPhase.from_split(
            "train", "train", SimpleSampler(16), [parts.loss], 9, callbacks=[Told(), watch, stop]
        )
    )
    assert isinstance(results, TrainResults)
    callbacks = results.callbacks()
    assert callbacks.axes == ("kind", "label", "epoch", "batch", "edge")
    metric = results.callbacks(kind="metric").where(epoch=1).one()
    whole = results.metrics("train_loss").at(name="train_loss", epoch=1, batch=None)
    assert metric.value == pytest.approx(whole.value)
    assert results.metrics("mean_loss").where(epoch=1).one().value == metric.value
    assert results.callbacks(kind="payload").one().value == {"rows": 45}
    np.testing.assert_array_equal(results.callbacks(kind="artifact").one().value, np.arange(3))
    assert results.artifact_names() == ["weights"]
    np.testing.assert_array_equal(results.artifacts().one().artifact, np.arange(3))
    stopped = results.callbacks(kind="early_stopping").one()
    assert (stopped.best_epoch, stopped.restored) == (results.last_epoch, True)
    assert stopped.stopped_epoch == results.n_epochs - 1
    assert stopped.best_value == max(entry.value for entry in results.metrics("val_loss").values())
    forget_best_epochs(results)
    assert results.callbacks(kind="early_stopping").one() == stopped
    evaluated = results.callbacks(kind="evaluation").where(epoch=0).one()
    assert evaluated.aggregated_losses("MLP") == {
        "mse": results.metrics("val_mse").where(epoch=0).one().value
    }
    assert evaluated.stacked_tensors("MLP").shape == (15, 1)
    assert len(evaluated.source_view("MLP")) == 15
    assert evaluated.n_batches == 1
    later = results.callbacks(kind="evaluation").where(epoch=1).one()
    assert not np.array_equal(later.stacked_tensors("MLP"), evaluated.stacked_tensors("MLP"))
    with pytest.raises(
        ValueError, match=r"^there is no kind `metrics`; known: `metric`, .*did you"
    ):
        results.callbacks(kind="metrics")


def test_the_rows_that_went_through_a_node_are_views(parts: Parts, trained: TrainResults) -> None:
    ids = trained.tensors("MLP", "sample_ids").where(epoch=0).stacked()
    view = trained.source_view("MLP")
    assert view.source is parts.feature_set
    assert view.indices.tolist() == sorted(ids.tolist())
    some = trained.source_views(parts.node, epoch=1, batch=2)["Sensor"]
    assert some.indices.tolist() == sorted(trained.tensors("MLP", "sample_ids")[1, 2].tolist())
    uuids = trained.tensors("MLP", "sample_uuids")[0, 0]
    first = trained.tensors("MLP", "sample_ids")[0, 0]
    assert uuids.tolist() == parts.feature_set.uuids[first].tolist()
    parts.experiment.ctx.registration_policy = "overwrite"
    specplan.Experiment("other")
    with pytest.raises(
        RunError, match=r"^the rows of FeatureSet `Sensor` are not in the run\nhint"
    ):
        trained.source_views("MLP")


def test_scaled_targets_are_given_as_they_were(parts: Parts) -> None:
    parts.experiment.ctx.registration_policy = "overwrite"
    source = FeatureSet.from_dict("Scaled", dict(parts.feature_set.columns), "x", "y")
    source.split_random({"train": 0.75, "test": 0.25}, seed=3)
    source.fit_transform(scaler="StandardScaler", domain="targets", keys="y", fit_to_split="train")
    node = ModelNode("Net", SequentialMLP(hidden_dim=4), source.reference("x", "y.transformed"))
    ModelGraph(nodes=[node], optimizer=parts.graph.optimizer)
    results = parts.experiment.run_phase(EvalPhase.from_split("eval", "test", [mse(node)]))
    assert isinstance(results, EvalResults)
    ids = results.stacked_tensors("Net", "sample_ids")
    raw = results.stacked_tensors("Net", "targets", unscale=True)
    np.testing.assert_allclose(raw, source.columns["y"][ids], rtol=1e-6)
    assert not np.allclose(results.stacked_tensors("Net", "targets"), raw)
    assert results.stacked_tensors("Net", fmt="pandas").shape == (15, 1)
    with pytest.raises(
        ValueError, match=r"^only outputs and targets of a node with a target can be"
    ):
        results.tensors("Net", "sample_ids", unscale=True)
