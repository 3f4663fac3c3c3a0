from __future__ import annotations

from typing import Any

import pytest

from specplan import Experiment, FeatureSet, InputBinding, ModelNode, SequentialMLP, SimpleSampler
from tests.objects.parts import Parts, sensor_data


def test_a_binding_knows_its_node_and_split(parts: Parts) -> None:
    binding = InputBinding.for_evaluation(node="MLP", upstream=None, split="test")
    assert binding.node_id == parts.node.id
    assert isinstance(binding.node_id, str)
    assert (binding.split, binding.feature_set) == ("test", parts.feature_set)
    assert InputBinding.for_training(parts.node, SimpleSampler(), "Sensor").split is None


def test_an_unknown_split_is_refused(parts: Parts) -> None:
    message = (
        "^FeatureSet `Sensor` has no split `tets`; available: `train`, `test`; did you mean `test`"
    )
    with pytest.raises(ValueError, match=message):
        InputBinding.for_evaluation(parts.node, split="tets")
    with pytest.raises(ValueError, match=message):
        InputBinding.for_training(parts.node, SimpleSampler(), split="tets")


def test_only_a_node_that_reads_a_feature_set_is_bound() -> None:
    Experiment("exp")
    head = ModelNode("Head", SequentialMLP(), sensor_data().reference())
    tail = ModelNode("Tail", SequentialMLP(), head)
    with pytest.raises(
        ValueError, match=r"^node `Tail` reads node `Head` and no FeatureSet; bind the"
    ):
        InputBinding.for_evaluation(tail)


def test_another_feature_set_is_refused(parts: Parts) -> None:
    other = FeatureSet.from_dict("Other", {"x": [1.0]}, "x", [])
    for upstream in (other, other.reference(), "Other"):
        with pytest.raises(
            ValueError, match=r"^node `MLP` reads FeatureSet `Sensor`, not `Other`$"
        ):
            InputBinding.for_evaluation(parts.node, upstream)


@pytest.mark.parametrize("sampler", [None, "simple", SimpleSampler])
def test_training_needs_a_sampler(parts: Parts, sampler: Any) -> None:
    with pytest.raises(
        TypeError,
        match=r"^sampler is a SimpleSampler or another sampler, or a function, not (NoneType|str|type)$",
    ):
        InputBinding.for_training(parts.node, sampler)


def test_a_sampler_is_checked() -> None:
    with pytest.raises(ValueError, match=r"^sampler `simple`: `batch_size`: Expected `int` >= 1$"):
        SimpleSampler(batch_size=0)
    assert repr(SimpleSampler()) == "SimpleSampler()"
    assert SimpleSampler(8) == SimpleSampler(8) != SimpleSampler(9)


def test_a_replaced_feature_set_is_refused(parts: Parts) -> None:
    parts.experiment.ctx.registration_policy = "overwrite"
    with pytest.raises(ValueError, match=r"^node `MLP` reads an earlier FeatureSet `Sensor`; make"):
        InputBinding.for_evaluation(parts.node, sensor_data(), split="test")


def test_a_node_is_a_node_or_its_label(parts: Parts) -> None:
    assert InputBinding.for_evaluation("MLP").node is parts.node
    with pytest.raises(TypeError, match=r"^a node is a ModelNode or the label of one, not int$"):
        InputBinding.for_evaluation(3)  # type: ignore[arg-type]
