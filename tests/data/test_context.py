from __future__ import annotations

import pytest

from specplan import Experiment, FeatureSet, ModelGraph, ModelNode, SequentialMLP


def feature_set(label: str = "S") -> FeatureSet:
    return FeatureSet.from_dict(label, {"x": [[1.0]], "y": [1.0]}, "x", "y")


def test_a_label_that_is_taken_is_an_error_by_default() -> None:
    Experiment("exp")
    source = feature_set()
    with pytest.raises(
        ValueError, match=r"^`S` is already the label of a FeatureSet of this context"
    ):
        feature_set()
    with pytest.raises(
        ValueError, match=r"^`S` is already the label of a FeatureSet of this context"
    ):
        ModelNode("S", SequentialMLP(), source.reference())


def test_a_new_object_can_take_the_label() -> None:
    experiment = Experiment("exp", registration_policy="overwrite")
    feature_set()
    newer = feature_set()
    assert experiment.ctx.members(FeatureSet) == [newer]
    assert repr(experiment.ctx) == "ExperimentContext(FeatureSet 'S'; policy 'overwrite')"


def test_a_new_object_can_get_another_label() -> None:
    Experiment("exp", registration_policy="rename")
    assert [feature_set().label for _ in range(3)] == ["S", "S_2", "S_3"]


def test_a_block_can_forget_what_is_registered_in_it() -> None:
    experiment = Experiment("exp")
    kept = feature_set()
    other = Experiment("other")
    with experiment.ctx.temporary() as context:
        context.registration_policy = "overwrite"
        feature_set()
        feature_set("T")
        assert [each.label for each in experiment.ctx.members(FeatureSet)] == ["S", "T"]
        Experiment("inside")
    assert experiment.ctx.members(FeatureSet) == [kept]
    assert experiment.ctx.registration_policy == "raise"
    feature_set("U")
    assert [each.label for each in other.ctx.members(FeatureSet)] == ["U"]


def test_a_policy_can_hold_for_a_block() -> None:
    context = Experiment("exp").ctx
    first = feature_set()
    with context.use_policy("overwrite_warn"), pytest.warns(UserWarning, match="`S` .* replaced"):
        second = feature_set()
    with context.dont_register():
        assert feature_set().label == "S"
    assert context.members(FeatureSet) == [second]
    assert second is not first
    with pytest.raises(ValueError, match="^`S` is already"):
        feature_set()


def test_the_environment_can_say_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECPLAN_REGISTRATION_POLICY", "rename")
    assert Experiment("exp").ctx.registration_policy == "rename"
    assert Experiment("exp", registration_policy="error").ctx.registration_policy == "raise"
    monkeypatch.setenv("SPECPLAN_REGISTRATION_POLICY", "keep")
    with pytest.raises(ValueError, match="^registration_policy 'keep' is unknown"):
        Experiment("exp")


def test_a_policy_is_one_of_those_that_there_are() -> None:
    message = (
        "^registration_policy 'keep' is unknown; it is one of `raise`, `overwrite`, "
        "`overwrite_warn`, `rename`, `no_register`$"
    )
    with pytest.raises(ValueError, match=message):
        Experiment("exp", registration_policy="keep")


def test_an_experiment_has_a_context_of_its_own_or_the_active_one() -> None:
    first = Experiment("first")
    source = feature_set()
    node = ModelNode("MLP", SequentialMLP(), source.reference())
    graph = ModelGraph(nodes=[node])
    same = Experiment.from_active_context("same", overwrite=True)
    other = Experiment("other")
    assert same.ctx is first.ctx
    assert same.model_graph is graph
    assert other.model_graph is None
    feature_set()


def test_a_context_has_one_graph_unless_it_may_be_replaced() -> None:
    experiment = Experiment("exp")
    node = ModelNode("MLP", SequentialMLP(), feature_set().reference())
    ModelGraph("one", nodes=[node])
    with pytest.raises(ValueError, match=r"^the context has the ModelGraph `one` already"):
        ModelGraph("two", nodes=[node])
    experiment.ctx.registration_policy = "overwrite"
    assert experiment.model_graph is not ModelGraph("two", nodes=[node])
    assert experiment.model_graph is not None
    assert experiment.model_graph.label == "two"
