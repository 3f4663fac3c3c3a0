from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from specplan import (
    CrossValidation,
    CVBinding,
    EvalPhase,
    Experiment,
    FeatureSet,
    InputBinding,
    ModelGraph,
    ModelNode,
    Optimizer,
    SequentialMLP,
    SimpleSampler,
    TrainPhase,
)
from tests.objects.parts import mse


class Parts:
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.experiment = Experiment("exp")
        columns = {
            "x": rng.standard_normal((60, 4)),
            "y": rng.standard_normal((60, 1)),
            "cell": np.repeat(np.arange(12), 5),
        }
        self.fs = FeatureSet.from_dict("Sensor", columns, "x", "y", "cell")
        self.fs.split_random({"train": 0.6, "val": 0.2, "test": 0.2}, seed=3)
        self.node = ModelNode("MLP", SequentialMLP(), self.fs.reference("x", "y"))
        self.graph = ModelGraph(nodes=[self.node], optimizer=Optimizer("adam", backend="torch"))
        self.graph.build()
        loss = mse(self.node)
        plan = self.experiment.execution_plan
        sampler = SimpleSampler(12, shuffle=True, seed=1)
        plan.add_phase(TrainPhase.from_split("train", "train", sampler, [loss], n_epochs=2))
        plan.add_phase(EvalPhase.from_split("held", "val", [loss]))
        plan.add_phase(EvalPhase.from_split("test", "test", [loss]))

    def weights(self) -> dict[str, Any]:
        live = self.experiment._calls.live
        assert live is not None
        found = live.state.modules()["MLP"].state_dict()
        return {name: value.clone() for name, value in found.items()}


@pytest.fixture
def parts() -> Parts:
    return Parts()


def ids(results: Any, label: str) -> list[int]:
    return sorted(
        int(row)
        for context in results[label].execution_contexts().values()
        for row in context.sample_ids
    )


def test_each_fold_leaves_another_part_out_and_nothing_changes(parts: Parts) -> None:
    experiment, fs = parts.experiment, parts.fs
    experiment.run_phase(experiment.execution_plan.get_train_phase("train"))
    before, splits = parts.weights(), {name: len(fs[name]) for name in fs.available_splits}
    with pytest.warns(UserWarning, match="begins with weights that 6 steps have trained already"):
        results = CrossValidation(CVBinding(fs, ["train", "val"]), n_folds=4).run()
    assert (len(results), results.label, results.n_folds) == (4, "CV", 4)
    held = [ids(fold, "held") for fold in results]
    assert [len(rows) for rows in held] == [12] * 4
    pooled = sorted(row for rows in held for row in rows)
    assert len(set(pooled)) == 48
    tests = results.collect(lambda fold: ids(fold, "test"))
    assert tests.axes == ("fold",)
    assert list(tests.keys()) == results.fold_labels == [f"fold_{index}" for index in range(4)]
    assert tests.values() == [tests["fold_0"]] * 4
    assert set(tests["fold_0"]).isdisjoint(pooled)
    for fold, rows in zip(results, held, strict=True):
        learned = set(ids(fold, "train"))
        assert learned == set(pooled) - set(rows)
    after = parts.weights()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert splits == {name: len(fs[name]) for name in fs.available_splits}
    assert len(experiment.history) == 1
    assert experiment.execution_plan.label == "exp"
    assert [entry.label for entry in experiment.execution_plan.all] == ["train", "held", "test"]


def test_losses_are_found_by_fold(parts: Parts) -> None:
    results = CrossValidation(CVBinding(parts.fs, ["train", "val"]), n_folds=3, label="cv").run()
    losses = results.losses()
    assert losses.axes == ("fold", "epoch", "batch", "label")
    assert losses.axis_values("fold") == ["fold_0", "fold_1", "fold_2"]
    assert losses.axis_values("epoch") == [0, 1]
    assert set(losses.to_pandas()["fold"]) == {"fold_0", "fold_1", "fold_2"}
    assert repr(losses).startswith("LossSeries(fold: 3, ")
    again = results.get_fold(1).get_train_result().losses().at(epoch=1, batch=0, label="mse")
    assert losses.at(fold="fold_1", epoch=1, batch=0, label="mse") == again
    assert results.losses("held", parts.node).axis_values("fold") == results.fold_labels
    collected = results.collect(lambda fold: fold.get_train_result().losses())
    assert (collected.axes, len(collected)) == (losses.axes, len(losses))
    of_last = results.collect(lambda fold: fold.get_train_result().last_epoch)
    assert repr(of_last).splitlines()[1:3] == ["fold    value", "fold_0      1"]
    assert of_last.collapse("fold", "mean").one() == 1
    assert "<td>fold_2</td>" in of_last._repr_html_()  # type: ignore[attr-defined]
    assert [label for label, _ in results.items()] == results.fold_labels
    assert repr(results).startswith("CVResults cv: 9 phases\n")
    assert results.get_fold("fold_1").label == results.get_fold(1).label
    with pytest.raises(KeyError, match="`cv` has no `fold_3`; it has: `fold_0`"):
        results.get_fold("fold_3")
    with pytest.raises(IndexError, match=r"^`cv` has 3 entries; there is none at 3$"):
        results.get_fold(3)


def test_groups_are_left_out_whole(parts: Parts) -> None:
    binding = CVBinding(parts.fs, ["train", "val", "test"], group_by="cell")
    phases = parts.experiment.execution_plan
    results = CrossValidation([binding], n_folds=3, phase=phases.get_eval_phase("held")).run()
    cells = [{row // 5 for row in ids(fold, "held")} for fold in results]
    assert sum(map(len, cells)) == len(set.union(*cells)) == 12


def test_several_feature_sets_are_cut_together(parts: Parts) -> None:
    rng = np.random.default_rng(1)
    columns = {"x": rng.standard_normal((60, 4)), "y": rng.standard_normal((60, 1))}
    other = FeatureSet.from_dict("Weather", columns, "x", "y")
    other.split_random({"known": 0.9, "judged": 0.1}, seed=5)
    node = ModelNode("Other", SequentialMLP(), other.reference("x", "y"))
    with parts.experiment.ctx.use_policy("overwrite"):
        ModelGraph(nodes=[parts.node, node], optimizer=Optimizer("adam", backend="torch")).build()
    bindings = [
        InputBinding.for_training(parts.node, SimpleSampler(12), None, "train"),
        InputBinding.for_training(node, SimpleSampler(12), None, "known"),
    ]
    train = TrainPhase(
        "train", input_sources=bindings, losses=[mse(parts.node), mse(node, "other")]
    )
    held = [
        EvalPhase(
            "held", [InputBinding.for_evaluation(parts.node, None, "val")], active_nodes=["MLP"]
        ),
        EvalPhase(
            "judged", [InputBinding.for_evaluation(node, None, "judged")], active_nodes=["Other"]
        ),
    ]
    parts.experiment.set_execution_plan([train, *held], overwrite=True)
    cuts = [
        CVBinding(parts.fs, ["train", "val"], group_by="cell"),
        CVBinding(other, ["known", "judged"], train_split_name="known", val_split_name="judged"),
    ]
    results = CrossValidation(cuts, n_folds=3).run()
    for label, rows in [("held", 48), ("judged", 60)]:
        found = [ids(fold, label) for fold in results]
        assert sum(map(len, found)) == len(set().union(*found)) == rows


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda fs: CrossValidation(CVBinding(fs, ["train", "val"], val_size=0.3)),
            ValueError,
            "val_size 0.3 is more than 1/5, which each of 5 folds leaves out",
        ),
        (
            lambda fs: CrossValidation(CVBinding(fs, ["train", "vla"])),
            ValueError,
            "FeatureSet `Sensor` has no split `vla`",
        ),
        (
            lambda fs: CVBinding(fs, ["train"], group_by="cell", stratify_by="cell"),
            ValueError,
            "`group_by` and `stratify_by` cannot be had together",
        ),
        (lambda _: CVBinding("Sensor", ["train"]), TypeError, "fs is a FeatureSet, not str"),  # type: ignore[arg-type]
        (
            lambda fs: CrossValidation(CVBinding(fs, ["train"]), n_folds=1),
            ValueError,
            "n_folds is at least 2, not 1",
        ),
        (
            lambda fs: CrossValidation([CVBinding(fs, ["train"])] * 2),
            ValueError,
            "bindings has a FeatureSet twice: `Sensor`, `Sensor`",
        ),
        (lambda _: CrossValidation([]), ValueError, "bindings names at least one FeatureSet"),
        (
            lambda fs: CrossValidation([CVBinding(fs, ["train"], val_size=0.1)], n_folds=4),
            ValueError,
            "val_size 0.1 is less than 1/4, which each of 4 folds leaves out",
        ),
    ],
)
def test_a_cross_validation_is_checked(
    parts: Parts, make: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}"):
        make(parts.fs)
