from __future__ import annotations

import numpy as np
import pytest

from specplan.spec.arguments import checked_int, checked_list, written


def test_a_component_is_written_with_what_was_given() -> None:
    assert written("optimizer", "adam", {"betas": (0.8, 0.9)}) == {
        "use": "adam",
        "betas": [0.8, 0.9],
    }


def test_an_unknown_argument_is_a_type_error() -> None:
    message = "^loss `huber` has no argument `detla`; it has: `delta`; did you mean `delta`\\?$"
    with pytest.raises(TypeError, match=message):
        written("loss", "huber", {"detla": 1.0})


def test_a_wrong_value_is_a_value_error() -> None:
    with pytest.raises(
        ValueError, match=r"^sampler `simple`: `batch_size`: Expected `int`, got `str`$"
    ):
        written("sampler", "simple", {"batch_size": "8"})


def test_a_wrong_word_is_told_the_right_ones() -> None:
    message = (
        "^callback `early_stopping`: `mode`: Invalid enum value 'low'; it is one of `max`, `min`$"
    )
    with pytest.raises(ValueError, match=message):
        written("callback", "early_stopping", {"mode": "low"})


def test_numbers_of_numpy_become_those_of_python() -> None:
    adam = written("optimizer", "adam", {"lr": np.float64(0.1), "betas": [np.float32(0.5), 0.9]})
    assert adam == {"use": "adam", "lr": 0.1, "betas": [0.5, 0.9]}
    width = written("model", "mlp", {"hidden_dim": np.int64(8)})["hidden_dim"]
    assert (width, type(width)) == (8, int)


def test_arguments_are_a_mapping() -> None:
    with pytest.raises(TypeError, match=r"^the arguments of loss `mse` are a mapping, not list$"):
        written("loss", "mse", [1])  # type: ignore[arg-type]


def test_a_list_is_not_one_item_or_a_text() -> None:
    assert checked_list("keys", ("a", "b")) == ["a", "b"]
    for wrong, name in (("ab", "str"), (3, "int"), (None, "NoneType")):
        with pytest.raises(TypeError, match=f"^keys is a list, not {name}$"):
            checked_list("keys", wrong)  # type: ignore[arg-type]


def test_an_int_is_an_int() -> None:
    count = checked_int("n", np.int32(3), least=1)
    assert (count, type(count)) == (3, int)
    for wrong in ("3", 3.0, True, None):
        with pytest.raises(TypeError, match=r"^n is an int, not \w+$"):
            checked_int("n", wrong)
    with pytest.raises(ValueError, match=r"^n is at least 1, not 0$"):
        checked_int("n", 0, least=1)
