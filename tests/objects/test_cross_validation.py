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
        return {
            name: value.clone()
            for name, value in self.experiment._live.state.modules()["MLP"].state_dict().items()  # type: ignore[union-attr]
        }


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
    results = CrossValidation(CVBinding(fs, ["train", "val"]), n_folds=4).run()
    assert (len(results), results.label, results.n_folds) == (4, "CV", 4)
    held = [ids(fold, "held") for fold in results]
    assert [len(rows) for rows in held] == [12] * 4
    pooled = sorted(row for rows in held for row in rows)
    assert len(set(pooled)) == 48
    tests = results.collect(lambda fold: ids(fold, "test"))
    assert tests == [tests[0]] * 4
    assert set(tests[0]).isdisjoint(pooled)
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
    assert losses.axis_values("fold") == [0, 1, 2]
    assert losses.axis_values("epoch") == [0, 1]
    assert set(losses.to_pandas()["fold"]) == {0, 1, 2}
    assert repr(losses).startswith("LossSeries(fold: 3, ")
    again = results.get_fold(1).get_train_result().losses().at(epoch=1, batch=0, label="mse")
    assert losses.at(fold=1, epoch=1, batch=0, label="mse") == again
    assert results.losses("held", parts.node).axis_values("fold") == [0, 1, 2]
    with pytest.raises(IndexError, match=r"^`cv` has 3 folds; there is none of number 3$"):
        results.get_fold(3)


def test_groups_are_left_out_whole(parts: Parts) -> None:
    binding = CVBinding(parts.fs, ["train", "val", "test"], group_by="cell")
    phases = parts.experiment.execution_plan
    results = CrossValidation([binding], n_folds=3, phase=phases.get_eval_phase("held")).run()
    cells = [{row // 5 for row in ids(fold, "held")} for fold in results]
    assert sum(map(len, cells)) == len(set.union(*cells)) == 12


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
            "cross-validation cuts one FeatureSet, so it has one binding, not 2",
        ),
    ],
)
def test_a_cross_validation_is_checked(
    parts: Parts, make: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}"):
        make(parts.fs)
