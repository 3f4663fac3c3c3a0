"""Conditions as text: parsed, never run."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specplan.data.expression import LONGEST, Expression

ROWS = np.array([[3, -4], [0, 1], [5, 5]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lambda x: x[0] > 1", [True, False, True]),
        ("lambda row: row[-1] < 0", [True, False, False]),
        ("lambda x: max(x) - min(x) == 7", [True, False, False]),
        ("lambda x: sum(x) / len(x) >= 5", [False, False, True]),
        ("lambda x: mean(x) in [-0.5, 5]", [True, False, True]),
        ("lambda x: abs(x[1]) not in (1, 4)", [False, False, True]),
        ("lambda x: not (x[0] % 2 == 1 and x[1] // 2 == 2)", [True, True, False]),
        ("lambda x: True", [True, True, True]),
    ],
)
def test_what_the_language_has(text: str, expected: list[bool]) -> None:
    assert Expression(text).holds(ROWS).tolist() == expected


def test_small_integers_do_not_wrap_around() -> None:
    rows = np.array([100, 3], dtype=np.int8)
    assert Expression("lambda x: x * 2 > 150").holds(rows).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("lambda x: __import__('os').system('true')", "__import__('os').system('true')"),
        ("lambda x: x.__class__", "x.__class__"),
        ("lambda x: open('f')", "open('f')"),
        ("lambda x: 9 ** 9 ** 9 > x", "9 ** 9 ** 9"),
        ("lambda x: [y for y in x]", "[y for y in x]"),
        ("lambda x: y > 1", "y"),
        ("lambda x: (lambda: x)()", "(lambda: x)()"),
        ("lambda x: x[0:1]", "x[0:1]"),
        ("lambda x: f'{x}' == 'a'", "f'{x}'"),
    ],
)
def test_what_it_does_not_have(text: str, part: str) -> None:
    with pytest.raises(
        ValueError, match=f"{re.escape(f'`{part}` is not allowed; an expression has')}"
    ):
        Expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "x > 1",
        "lambda: 1",
        "lambda x, y: x",
        "lambda *x: x",
        "lambda x=1: x",
        "lambda x",
        "",
        "def f(): 1",
    ],
)
def test_what_is_no_function_of_one_row(text: str) -> None:
    with pytest.raises(ValueError, match="write `lambda x: x >= 90`$"):
        Expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lambda x: x[2] > 1", "`lambda x: x[2] > 1` fails: index 2 is out of bounds"),
        (
            "lambda x: x[0]",
            "`lambda x: x[0]` gives int64 () for a row; a condition is true or false",
        ),
        ("lambda x: x > 1", "`lambda x: x > 1` gives bool (2,) for a row"),
        ("lambda x: 'a' + x > 1", "`lambda x: 'a' + x > 1` fails: <U1 is no number"),
    ],
)
def test_what_does_not_fit_the_rows(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Expression(text).holds(ROWS)


def test_a_long_text_is_not_parsed() -> None:
    with pytest.raises(ValueError, match=f"^the expression has {LONGEST + 1} characters"):
        Expression("(" * (LONGEST + 1))


@given(st.text(max_size=200))
def test_any_text_is_an_expression_or_an_error_of_ours(text: str) -> None:
    with contextlib.suppress(ValueError):
        Expression(f"lambda x: {text}").holds(np.arange(3))
