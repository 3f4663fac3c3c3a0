"""Conditions that can be written down."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from specplan.data.predicate import predicates_of
from specplan.predicates import EQ, GT, GTE, LT, LTE, NE, In, Lambda, NotIn, Predicate

NUMBERS = np.arange(5)
TEXTS = np.array(["a", "b", "a", "c", "d"])


@pytest.mark.parametrize(
    ("predicate", "rows", "expected"),
    [
        (LT(2), NUMBERS, [0, 1]),
        (LTE(2), NUMBERS, [0, 1, 2]),
        (GT(2), NUMBERS, [3, 4]),
        (GTE(2.5), NUMBERS, [3, 4]),
        (EQ("a"), TEXTS, [0, 2]),
        (NE("a"), TEXTS, [1, 3, 4]),
        (In(["a", "d"]), TEXTS, [0, 2, 4]),
        (NotIn([1, 2]), NUMBERS, [0, 3, 4]),
        (Lambda("lambda x: 0 < x <= 2 or x == 4"), NUMBERS, [1, 2, 4]),
    ],
)
def test_rows_that_meet_a_condition(predicate: Predicate, rows: Any, expected: list[int]) -> None:
    assert np.flatnonzero(predicate.holds(rows)).tolist() == expected
    assert [predicate(value) for value in rows] == predicate(rows).tolist()


@pytest.mark.parametrize(
    "predicate",
    [LT(2), GTE(90.5), EQ("a"), EQ(True), In(["a"]), NotIn([1, 2]), Lambda("lambda x: x < 3")],
)
def test_a_condition_is_the_same_after_json(predicate: Predicate) -> None:
    assert predicates_of(json.loads(json.dumps(predicate.to_dict()))) == [predicate]
    assert eval(repr(predicate), vars(__import__("specplan.predicates").predicates)) == predicate


def test_values_of_numpy_are_those_of_python() -> None:
    three: Any = np.int64(3)
    assert GTE(three).to_dict() == {"gte": 3}
    assert type(GTE(three).value) is int
    assert predicates_of(np.float32(0.5)) == [EQ(0.5)]
    assert predicates_of({"gte": 1, "lt": 3}) == [GTE(1), LT(3)]


@pytest.mark.parametrize(
    ("condition", "error", "message"),
    [
        ({"ge": 1}, ValueError, "there is no `ge`; known: `lt`, `lte`, `gt`, `gte`, `eq`, `ne`, `in`, "
         "`not_in`, `lambda`"),
        ({}, ValueError, "an empty condition; it has: "),
        (None, TypeError, "a condition is a value, a list of values or a Predicate, not NoneType"),
        ({"lt": [1]}, TypeError, "LT compares with a number or a text, not list"),
        ({"in": "abc"}, TypeError, "In(...) is a list, not str"),
        ({"lambda": 3}, TypeError, "Lambda(...) takes the text of a function, not int"),
    ],
)  # fmt: skip
def test_what_is_no_condition(condition: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        predicates_of(condition)


@pytest.mark.parametrize(
    ("predicate", "rows", "message"),
    [
        (GTE(3), TEXTS, "GTE(3) compares 3 with rows of text"),
        (EQ("a"), NUMBERS, "EQ('a') compares 'a' with rows of numbers"),
        (EQ(1), np.zeros((2, 3)), "EQ(1) compares one value a row, and a row is (3,)"),
    ],
)
def test_a_condition_of_another_kind(predicate: Predicate, rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        predicate.holds(rows)
