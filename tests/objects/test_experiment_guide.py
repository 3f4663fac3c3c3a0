"""The documented program runs as it stands, with the name of the package changed."""

from __future__ import annotations

import runpy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from specplan import Experiment, SequentialMLP
from specplan.objects.group_results import PhaseGroupResults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.objects.phase_results import PhaseResults

GUIDE = Path(__file__).parent / "guide_program.py"


class Guide:
    """What is left when the program is over."""

    def __init__(self, names: dict[str, Any], printed: str) -> None:
        self.names = names
        self.printed = printed

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


@pytest.fixture(scope="module")
def guide() -> Iterator[Guide]:
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *text: lines.append(" ".join(map(str, text))))
        with pytest.warns(UserWarning, match="it replaces|checkpoint_dir="):
            names = runpy.run_path(str(GUIDE))
    yield Guide(names, "\n".join(lines))
    for value in names.values():
        if isinstance(value, TemporaryDirectory):
            value.cleanup()


def test_every_cell_says_what_it_should(guide: Guide) -> None:
    node_id = guide["node"].id[:8]
    for line in [
        "Experiment: my_experiment",
        "Context:    ExperimentContext(empty; policy 'overwrite')",
        "Splits: ['train', 'test']",
        f"Train binding node: {node_id}...",
        "Train binding split: train",
        "Eval binding split: test",
        "Loss: mse",
        f"Applied on: {node_id}...",
        "TrainPhase: train\n  n_epochs: 3\n  losses:   ['mse']",
        "TrainPhase (from_split): train_from_split",
        "EvalPhase: eval",
        "Execution plan: PhaseGroup(label='my_experiment', entries=[])\nCurrently empty: True",
        "Plan entries: 2\n  [0] train (TrainPhase)\n  [1] eval (EvalPhase)",
        "By index:  train\nBy label:  train\nTrainPhase: train, EvalPhase: eval",
        "After remove: ['train']\nAfter re-add: ['train', 'eval']",
        "Training completed.\n  History entries: 1",
        "Evaluation completed.\n  History entries: 2",
        "Full run completed.\nHistory entries: 3",
        "Callbacks: ['Printing', 'another']",
        "my_experiment: inner_train begins\nmy_experiment: inner is over",
        "my_experiment: outer_eval begins\nmy_experiment: outer is over",
        "History before: 3\nHistory after:  3\nState was restored: True",
        "  Run 0: label='train', status=completed, duration=0:",
        "  Run 2: label='my_experiment', status=completed, duration=0:",
        "Last run: my_experiment\n  Status:  completed\n  Results: PhaseGroupResults",
        "Save artifacts on disk? True\nSave execution data on disk? True\nSave metrics on disk? False",
        "ALL -> execution contexts: 26",
        "LAST -> execution contexts: 13",
        "NONE -> execution contexts: 0",
        "Group: PhaseGroup(label='train_eval_cycle', entries=['cycle_train', 'cycle_eval'])",
        "Entries: ['cycle_train', 'cycle_eval']",
        "Group results: {'cycle_train': TrainResults(train_eval_cycle.cycle_train: completed, ",
        "Flattened: ['inner_train', 'outer_eval']",
        "after_training.ckpt.mml\nAvailable checkpoints: ['after_training']\nCheckpoint restored.",
        "my_experiment.exp.mml\nLoaded experiment: my_experiment\n  Model graph: ModelGraph(",
        "SensorData.fs.mml\nExperiment (slim) saved to: ",
        "my_experiment_slim.exp.mml\nLoaded experiment: my_experiment\n  FeatureSet: FeatureSet(",
    ]:
        assert line in guide.printed


def test_the_feature_set_is_split_as_documented(guide: Guide) -> None:
    assert len(guide["fs"]) == 500
    assert guide["fs"].get_feature_shapes() == {"voltage": (10,)}
    assert {name: len(view) for name, view in guide["fs"].splits.items()} == {
        "train": 400,
        "test": 100,
    }


def test_the_graph_is_built_with_the_shapes_of_the_data(guide: Guide) -> None:
    model = guide["node"].model
    assert isinstance(model, SequentialMLP)
    assert model.is_built
    assert (model.input_shape, model.output_shape) == ((10,), (1, 1))
    assert 'SensorData -- "voltage (10,)" --> MLP' in guide.printed
    assert 'MLP -- "(1, 1)" --> MLP__outputs' in guide.printed


def test_training_records_each_batch_and_epoch(guide: Guide) -> None:
    results = guide["train_results"]
    losses = results.metrics(name="train_loss").to_pandas()
    assert len(losses) == 3 * (13 + 1)
    assert results.metric_names() == ["train_loss", "mse"]
    of_epochs = losses[losses["batch"].isna()]["value"].to_list()
    assert of_epochs[-1] < of_epochs[0]
    assert len(results.execution_contexts()) == 39
    assert {len(context.sample_ids) for context in results.execution_contexts().values()} == {
        32,
        16,
    }
    assert results.tensors("MLP", "outputs")[2, 12].shape == (16, 1, 1)


def test_every_call_goes_on_from_the_weights_of_the_one_before(guide: Guide) -> None:
    def last(results: PhaseResults) -> float:
        return results.metrics(name="train_loss").where(batch=None).last().value

    first = guide["train_results"]
    again = guide["results"].get_train_result()
    assert last(again) < last(first)


def test_the_full_run_returns_results_by_position_and_label(guide: Guide) -> None:
    results = guide["results"]
    assert isinstance(results, PhaseGroupResults)
    assert results[0] is results["train"] is results.get_train_result()
    assert [result.label for result in results] == ["train", "eval"]
    assert list(results.flatten()) == ["train", "eval"]
    context = results.get_eval_result().execution_contexts().one()
    assert context.outputs["MLP"].shape == (100, 1, 1)


def test_the_history_has_an_entry_for_each_call(guide: Guide) -> None:
    experiment = guide["exp"]
    assert isinstance(experiment, Experiment)
    assert [run.label for run in experiment.history] == [
        "train",
        "eval",
        "my_experiment",
        "train_eval_cycle",
        "outer",
        "train",
    ]
    assert {run.status for run in experiment.history} == {"completed"}
    last = experiment.history[2]
    assert last.results is guide["results"]
    assert last.ended_at > last.started_at
    assert last.duration_seconds > 0
    assert list(last.phase_durations) == ["train", "eval"]
