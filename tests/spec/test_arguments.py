from __future__ import annotations

import pytest

from specplan.spec.arguments import written


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
