from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from specplan import EvalPhase, InputBinding, PhaseGroup, SimpleSampler, TrainPhase

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.objects.parts import Parts


def phase(label: str) -> EvalPhase:
    return EvalPhase.from_split(label, "test")


@pytest.fixture
def outer(parts: Parts) -> PhaseGroup:
    inner = PhaseGroup("inner", [phase("one")])
    train = TrainPhase.from_split("train", "train", SimpleSampler(8), [parts.loss])
    return PhaseGroup("outer", [train, inner, phase("two")])


def test_entries_are_found_by_position_and_label(outer: PhaseGroup) -> None:
    assert outer[0] is outer["train"] is outer[-3] is outer.get_train_phase("train")
    assert outer["two"] is outer.get_phase(2) is outer.get_eval_phase(-1)
    assert outer["inner"] is outer.get_group(1)
    assert [entry.label for entry in outer.all] == ["train", "inner", "two"]
    assert [label for label, _ in outer.items()] == ["train", "inner", "two"]
    assert [found.label for found in outer.flatten()] == ["train", "one", "two"]
    assert len(outer) == len(list(outer)) == 3
    assert repr(outer) == "PhaseGroup(label='outer', entries=['train', 'inner', 'two'])"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda g: g["tow"],
            KeyError,
            "`outer` has no `tow`; it has: `train`, `inner`, `two`; did you mean `two`?",
        ),
        (lambda g: g[3], IndexError, "`outer` has 3 entries; there is none at 3"),
        (lambda g: g[1.0], TypeError, "an entry of `outer` is found by int or str, not float"),
        (
            lambda g: g.get_phase("inner"),
            TypeError,
            "'inner' of `outer` is a PhaseGroup, not a phase",
        ),
        (
            lambda g: g.get_train_phase("two"),
            TypeError,
            "'two' of `outer` is an EvalPhase, not a TrainPhase",
        ),
        (
            lambda g: g.get_eval_phase(0),
            TypeError,
            "0 of `outer` is a TrainPhase, not an EvalPhase",
        ),
        (
            lambda g: g.get_fit_phase(0),
            TypeError,
            "0 of `outer` is a TrainPhase, not a FitPhase",
        ),
        (
            lambda g: g.get_group("two"),
            ValueError,
            "'two' of `outer` is an EvalPhase, not a PhaseGroup",
        ),
        (
            lambda g: g.remove_phase("inner"),
            TypeError,
            "'inner' of `outer` is a PhaseGroup, not a phase",
        ),
        (
            lambda g: g.remove_group("two"),
            ValueError,
            "'two' of `outer` is an EvalPhase, not a PhaseGroup",
        ),
        (lambda g: g.remove_phase(9), IndexError, "`outer` has 3 entries; there is none at 9"),
        (
            lambda g: g.remove_phase(phase("two")),
            KeyError,
            "this EvalPhase `two` is not in group `outer`",
        ),
        (
            lambda g: g.add_phase(phase("two")),
            ValueError,
            "`two` is the label of another entry in group `outer`",
        ),
        (
            lambda g: g.add_phase(phase("outer")),
            ValueError,
            "`outer` is the label of the group itself in group `outer`",
        ),
        (
            lambda g: g.get_group("inner").add_group(g),
            ValueError,
            "group `outer` holds group `inner` already",
        ),
        (
            lambda g: g.add_phase(PhaseGroup("more")),
            TypeError,
            "add_phase takes a phase, not a PhaseGroup",
        ),
        (
            lambda g: g.add_group(phase("more")),
            TypeError,
            "add_group takes a PhaseGroup, not an EvalPhase",
        ),
    ],
)
def test_what_is_not_there_or_of_another_kind(
    outer: PhaseGroup, call: Callable[[PhaseGroup], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        call(outer)
    assert caught.value.args == (message,)


def test_entries_are_removed_by_position_label_and_instance(outer: PhaseGroup) -> None:
    two, inner = outer.get_phase("two"), outer.get_group("inner")
    outer.remove_phase(0)
    outer.remove_phase(two)
    outer.remove_group(inner)
    assert outer.all == []
    outer.add_group(inner).add_phase(two)
    outer.remove_group("inner")
    outer.remove_phase("two")
    assert len(outer) == 0
    outer.add_phase(two)
    outer.clear()
    assert outer.all == []


def test_phases_are_made_and_added_in_one_call(parts: Parts) -> None:
    group = PhaseGroup("group")
    training = InputBinding.for_training(parts.node, SimpleSampler(8), split="train")
    evaluation = InputBinding.for_evaluation(parts.node, split="test")
    for number, add in enumerate((group.add_train_phase, group.add_train, group.add_training)):
        label = f"train{number}"
        assert add(label, input_sources=[training], losses=[parts.loss], n_epochs=5) is group
        assert group.get_train_phase(label).n_epochs == 5
    for number, add in enumerate((group.add_eval_phase, group.add_eval, group.add_evaluation)):
        assert add(label=f"eval{number}", input_sources=[evaluation], losses=[parts.loss]) is group
        assert group.get_eval_phase(f"eval{number}").split == "test"
    for number, add in enumerate((group.add_fit_phase, group.add_fit)):
        assert add(f"fit{number}", input_sources=[evaluation]) is group
        assert group.get_fit_phase(f"fit{number}").freeze_after_fit
