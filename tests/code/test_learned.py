from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from specplan.code.learned import LearnedError, learn_again, learned, stray
from specplan.code.own_scaling import OwnScaling, ScalingError


class Saying:
    """Says itself what it learned."""

    def __init__(self) -> None:
        self.hidden = 0.0

    def fit(self, rows: Any) -> None:
        self.hidden = float(rows.mean())

    def transform(self, rows: Any) -> Any:
        return rows - self.hidden

    def state_dict(self) -> dict[str, Any]:
        return {"hidden": self.hidden}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.hidden = state["hidden"]


class Changing(Saying):
    def transform(self, rows: Any) -> Any:
        rows -= self.hidden
        return rows


class Short(Saying):
    def transform(self, rows: Any) -> Any:
        return rows[1:]


VALUES: list[Any] = [
    None,
    True,
    3,
    0.5,
    float("inf"),
    "text",
    [1, [2.0, "x"]],
    (1, 2),
    {"a": {"b": (np.float32(1.5),)}},
    np.array([[1, 2], [3, 4]], np.int16),
    np.array([1.0, np.nan, -np.inf]),
    np.array(["a", "bc"]),
    np.array([True, False]),
    np.float32(2.5),
    np.zeros((0, 3)),
]


@pytest.mark.parametrize("value", VALUES, ids=[str(number) for number in range(len(VALUES))])
def test_what_was_learned_goes_through_json(value: Any) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(learned(SimpleNamespace(value_=value))))
    told = SimpleNamespace()
    learn_again(told, stored)
    if isinstance(value, np.ndarray):
        assert (told.value_.dtype, told.value_.shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(told.value_, value)
    else:
        assert told.value_ == value
        assert type(told.value_) is type(value) or isinstance(told.value_, np.floating)


@pytest.mark.parametrize("value", [object(), np.array([None]), {1: 2}, [print], bytearray(1)])
def test_what_a_file_could_not_hold_without_code_is_refused(value: Any) -> None:
    with pytest.raises(LearnedError, match="learned `value_`, which holds"):
        learned(SimpleNamespace(value_=value))


def test_only_what_ends_in_an_underscore_was_learned() -> None:
    value = SimpleNamespace(value_=1, other=2, _hidden_=3)
    assert learned(value) == {"value_": 1}
    assert stray(value, SimpleNamespace()) == "`other`, `_hidden_`"


def test_an_object_can_say_what_it_learned() -> None:
    rows = np.arange(12.0).reshape(4, 3)
    scaler = OwnScaling(Saying, "Saying", None)
    scaler.fit(rows)
    assert scaler.state == {"hidden": 5.5}
    other = OwnScaling(Saying, "Saying", None)
    other.state = scaler.state
    np.testing.assert_array_equal(other.transform(rows), rows - 5.5)
    with pytest.raises(ScalingError, match="`Saying` has no `inverse_transform`"):
        scaler.inverse_transform(rows)


def test_rows_are_not_changed_and_all_are_given_back() -> None:
    rows = np.arange(12.0).reshape(4, 3)
    with pytest.raises(ValueError, match="read-only"):
        OwnScaling(Changing, "Changing", None).fit(rows)
    assert rows[0, 0] == 0
    with pytest.raises(
        ScalingError, match=r"`transform` of `Short` gave float64 of shape \(3, 3\)"
    ):
        OwnScaling(Short, "Short", None).fit(rows)
    with pytest.raises(ScalingError, match="`dict` is not a scaler: it has no method `fit`"):
        OwnScaling(dict, "dict", None)
