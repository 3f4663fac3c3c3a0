from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.linear_model import SGDRegressor
from sklearn.neighbors import KNeighborsRegressor

from specplan import (
    EarlyStopping,
    EvalPhase,
    Evaluation,
    Experiment,
    FitPhase,
    ModelGraph,
    ModelNode,
    PhaseGroup,
    RunError,
    SimpleSampler,
    SpecError,
    TrainPhase,
)
from tests.objects.parts import Parts, mse, sensor_data

if TYPE_CHECKING:
    from pathlib import Path


def train(parts: Parts, label: str = "train", **options: Any) -> TrainPhase:
    return TrainPhase.from_split(label, "train", SimpleSampler(16), [parts.loss], **options)


def evaluate(parts: Parts, label: str = "eval") -> EvalPhase:
    return EvalPhase.from_split(label, "test", [parts.loss])


def test_a_spec_is_made_of_plain_values(parts: Parts) -> None:
    parts.experiment.execution_plan.add_phase(train(parts, n_epochs=2))
    parts.experiment.execution_plan.add_group(PhaseGroup("empty"))
    parts.experiment.execution_plan.add_group(PhaseGroup("deep", [evaluate(parts)]))
    assert parts.experiment.to_spec() == {
        "specplan": 1,
        "experiment": {"id": "exp"},
        "run": {"seed": 42, "dirty_git": "ignore"},
        "data": {
            "Sensor": {
                "source": {"use": "memory", "name": "Sensor"},
                "features": ["x"],
                "targets": ["y"],
                "tags": [],
                "splits": {"use": "random", "ratios": {"train": 0.75, "test": 0.25}, "seed": 3},
            }
        },
        "graph": {
            "nodes": {
                "MLP": {
                    "model": {
                        "use": "mlp",
                        "output_shape": None,
                        "n_layers": 2,
                        "hidden_dim": 8,
                        "activation": "relu",
                        "dropout": 0.0,
                    },
                    "input": "Sensor.x",
                    "target": "Sensor.y",
                }
            },
            "optimizer": {"use": "adam", "lr": 0.01},
        },
        "losses": {
            "mse": {"use": "mse", "node": "MLP", "args": ["outputs", "targets"], "weight": 1.0}
        },
        "plan": [
            {
                "phase": "train",
                "label": "train",
                "split": "train",
                "losses": ["mse"],
                "epochs": 2,
                "sampler": {
                    "use": "simple",
                    "batch_size": 16,
                    "shuffle": False,
                    "drop_last": False,
                    "seed": None,
                    "reshuffle": True,
                },
                "callbacks": [],
                "record": "all",
                "record_nodes": "all",
            },
            {
                "group": "deep",
                "do": [
                    {
                        "phase": "eval",
                        "label": "eval",
                        "split": "test",
                        "losses": ["mse"],
                        "record_nodes": "all",
                    }
                ],
            },
        ],
    }


def test_there_must_be_something_to_run(parts: Parts) -> None:
    with pytest.raises(ValueError, match=r"^Experiment `exp`: there is no phase to run$"):
        parts.experiment.to_spec()
    phase = evaluate(parts)
    other = Experiment("other")
    with pytest.raises(
        ValueError, match=r"^the context of Experiment `other` has no ModelGraph; make"
    ):
        other.run_phase(phase)
    with pytest.raises(TypeError, match=r"^run_phase takes a phase, not PhaseGroup$"):
        other.run_phase(PhaseGroup("group"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^run_group takes a PhaseGroup, not EvalPhase$"):
        other.run_group(phase)  # type: ignore[arg-type]


def test_different_losses_of_one_label_are_refused(parts: Parts) -> None:
    heavier = mse(parts.node)
    heavier.weight = 2.0
    plan = parts.experiment.execution_plan
    plan.add_phase(train(parts)).add_phase(EvalPhase.from_split("eval", "test", [heavier]))
    with pytest.raises(ValueError, match=r"^two different losses are labelled `mse`: "):
        parts.experiment.run()


def test_groups_run_in_order_under_their_own_paths(parts: Parts) -> None:
    inner = PhaseGroup("inner", [train(parts)])
    outer = PhaseGroup("outer", [inner, evaluate(parts)])
    results = parts.experiment.run_group(outer)
    assert list(results.flatten()) == ["train", "eval"]
    assert results.get_group_result()[0].path == "outer.inner.train"  # type: ignore[union-attr]
    assert results.get_eval_result().path == "outer.eval"
    with pytest.raises(ValueError, match=r"^`outer` has 0 results of a train phase; say which by"):
        results.get_train_result()
    with pytest.raises(
        TypeError, match=r"^'eval' of `outer` is not the result of a train phase: EvalResults"
    ):
        results.get_train_result("eval")
    with pytest.raises(
        TypeError, match=r"^'eval' of `outer` is not the result of a group: EvalResults\(outer.eval"
    ):
        results.get_group_result("eval")
    with pytest.raises(
        KeyError, match="`outer` has no `evl`; it has: `inner`, `eval`; did you mean"
    ):
        results["evl"]
    assert parts.experiment.last_run is not None
    assert list(parts.experiment.last_run.phase_durations) == ["outer.inner.train", "outer.eval"]


def test_results_of_one_label_cannot_be_flattened(parts: Parts) -> None:
    groups = [PhaseGroup(label, [evaluate(parts)]) for label in ("a", "b")]
    results = parts.experiment.run_group(PhaseGroup("both", groups))
    with pytest.raises(
        ValueError, match=r"^several phases of `both` are labelled `eval`; go through"
    ):
        results.flatten()


def failing_experiment() -> tuple[Experiment, FitPhase]:
    experiment = Experiment("exp")
    node = ModelNode("Knn", KNeighborsRegressor(n_neighbors=1000), sensor_data().reference())
    ModelGraph(nodes=[node])
    return experiment, FitPhase.from_split("fit", "train", [mse(node)])


def test_a_call_that_fails_is_in_the_history_and_raises() -> None:
    experiment, phase = failing_experiment()
    with pytest.raises(
        RunError, match=r"^phase `fit`: ValueError: Expected n_neighbors <= n_samples"
    ):
        experiment.run_phase(phase)
    (run,) = experiment.history
    assert (run.label, run.status) == ("fit", "failed")
    assert run.error is not None
    assert run.error.startswith("RunError: phase `fit`: ValueError: Expected n_neighbors")
    assert run.run is not None
    assert run.run.status == "failed"
    with pytest.raises(RunError):
        experiment.preview_phase(phase)
    assert len(experiment.history) == 1


def test_a_spec_that_does_not_compile_is_in_the_history_too(parts: Parts) -> None:
    parts.graph.optimizer = None
    with pytest.raises(SpecError):
        parts.experiment.run_phase(train(parts))
    (run,) = parts.experiment.history
    assert (run.status, run.results, run.run) == ("failed", None, None)
    assert re.fullmatch(
        r"ExperimentRun\(label='train', status='failed', duration=.* s, error='SpecError: .*\)",
        repr(run),
    )


def test_the_history_is_a_copy(parts: Parts) -> None:
    parts.experiment.run_phase(evaluate(parts))
    parts.experiment.history.clear()
    assert len(parts.experiment.history) == 1
    assert repr(parts.experiment) == "Experiment(label='exp', plan=[], runs=1)"


def test_results_outlive_the_experiment_and_nothing_is_left_behind() -> None:
    def run() -> Any:
        experiment = Experiment("exp")
        node = ModelNode("Knn", KNeighborsRegressor(), sensor_data().reference())
        ModelGraph(nodes=[node])
        return experiment.run_phase(FitPhase.from_split("fit", "train", [mse(node)]))

    results = run()
    Experiment("next")
    gc.collect()
    folder = results.run.folder.path
    assert len(results.metrics())
    del results
    gc.collect()
    assert not folder.exists()


def test_runs_go_below_specplan_home(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECPLAN_HOME", str(tmp_path))
    run = parts.experiment.run_phase(evaluate(parts)).run
    assert run.folder.path == tmp_path / "exp" / run.id


def test_a_new_graph_starts_from_fresh_weights(parts: Parts) -> None:
    parts.experiment.ctx.registration_policy = "overwrite"
    phase = train(parts)
    first = parts.experiment.run_phase(phase).tensors("MLP").stacked()
    ModelGraph(nodes=[parts.node], optimizer=parts.graph.optimizer)
    again = parts.experiment.run_phase(phase).tensors("MLP").stacked()
    np.testing.assert_array_equal(first, again)


def test_the_seed_decides_the_weights(parts: Parts) -> None:
    other = Experiment.from_active_context("exp", seed=7, overwrite=True)
    phase = evaluate(parts)
    ours = parts.experiment.run_phase(phase).tensors("MLP").stacked()
    assert not np.array_equal(ours, other.run_phase(phase).tensors("MLP").stacked())


def test_evaluation_and_early_stopping_happen_between_epochs(parts: Parts) -> None:
    watch = Evaluation(evaluate(parts), name="val")
    stop = EarlyStopping(monitor="val_loss", patience=1, min_delta=100.0)
    results = parts.experiment.run_phase(train(parts, n_epochs=9, callbacks=[watch, stop]))
    assert sorted(results.metric_names()) == ["mse", "train_loss", "val_loss", "val_mse"]
    assert len(results.metrics(name="val_loss")) == 2
    assert repr(watch) == "Evaluation(EvalPhase(label='eval', split='test'), every_n_epochs=1)"


def test_an_evaluation_needs_an_eval_phase_with_a_split(parts: Parts) -> None:
    with pytest.raises(TypeError, match=r"^eval_phase is an EvalPhase, not TrainPhase$"):
        Evaluation(train(parts))  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"^callback `evaluation`: `every_n_epochs`: Expected `int` >= 1"
    ):
        Evaluation(evaluate(parts), every_n_epochs=0)


@pytest.mark.parametrize("shown", [True, False])
def test_display_options_are_accepted_and_nothing_is_shown_off_a_terminal(
    parts: Parts, shown: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    parts.experiment.run_phase(
        train(parts),
        show_sampler_progress=shown,
        show_training_progress=shown,
        persist_progress=shown,
        persist_epoch_progress=shown,
    )
    parts.experiment.run_phase(evaluate(parts), show_eval_progress=shown)
    assert capfd.readouterr() == ("", "")
    message = "^there is no display option `show_progress`; known: `show_sampler_progress`"
    with pytest.raises(TypeError, match=message):
        parts.experiment.run_phase(evaluate(parts), show_progress=True)  # type: ignore[call-arg]


def test_an_experiment_is_checked() -> None:
    with pytest.raises(TypeError, match=r"^the seed of an experiment is an int, not str$"):
        Experiment("exp", seed="1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^ctx is an ExperimentContext, not str$"):
        Experiment("exp", ctx="main")  # type: ignore[arg-type]


def test_fitted_nodes_are_frozen_afterwards_unless_that_is_not_wanted() -> None:
    experiment = Experiment("exp", registration_policy="overwrite")
    node = ModelNode("SGD", SGDRegressor(random_state=0), sensor_data().reference())
    graph = ModelGraph(nodes=[node])
    loose = FitPhase.from_split("loose", "train", freeze_after_fit=False)
    fit = FitPhase.from_split("fit", "train")
    experiment.preview_phase(fit)
    experiment.run_phase(loose)
    assert not node.is_frozen
    experiment.run_phase(fit)
    assert [*graph.frozen_nodes] == ["SGD"]
    train = TrainPhase.from_split("train", "train", SimpleSampler(16), [mse(node)])
    with pytest.raises(ValueError, match="`SGD` is frozen: there is nothing to train"):
        experiment.run_phase(train)
    named = TrainPhase.from_split("t", "train", SimpleSampler(16), [mse(node)], active_nodes=[node])
    assert len(experiment.run_phase(named).execution_contexts()) == 3


def test_the_name_of_an_experiment_is_a_text() -> None:
    with pytest.raises(TypeError, match=r"^label of an Experiment is a str, not int$"):
        Experiment(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^prefix of an Experiment is a str, not int$"):
        Experiment(prefix=3)  # type: ignore[arg-type]
