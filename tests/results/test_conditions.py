"""Conditions on runs: what they mean, and what is said of one that is wrong."""

from __future__ import annotations

import math

import pytest

from specplan.results.conditions import ABSENT, ConditionError, parse_condition
from specplan.store.run_file import Status

RUN = {
    "status": Status.FAILED,
    "version": 3,
    "experiment": "alice/study",
    "started": "2026-03-01T10:00:00.000Z",
    "params.lr": 0.01,
    "params.debug": True,
    "params.sizes": [1, 2],
    "params.none": None,
    "metrics.loss": 0.5,
    "metrics.bad": math.nan,
    "tags.fold": "3",
    "tags.baseline": None,
}


def holds(text: str) -> bool:
    return parse_condition(text).holds(lambda name: RUN.get(name, ABSENT))


@pytest.mark.parametrize(
    "text",
    [
        "status = failed",
        "status == ERROR",
        "status != completed",
        "status in [failed, interrupted]",
        "status not in ['completed']",
        "version >= 3 and version < 4",
        "params.lr = 1e-2",
        "params.lr <= 0.01 and metrics.loss < 0.6",
        "version = 1 or version = 2 or version = 3",
        "not (version = 1 or params.lr > 1)",
        "not version = 1 and version = 3",
        "experiment ~ alice/*",
        "experiment ~ '*study'",
        "started >= 2026-03 and started < 2026-04-01",
        "params.debug = true",
        "params.debug != 1",
        "params.none = null",
        "params.lr",
        "tags.baseline",
        "not tags.other",
        "tags.fold = 3",
        "tags.fold in [1, 3]",
        "not metrics.bad < 1",
    ],
)
def test_what_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "status = completed",
        "params.other = 1",
        "params.other != 1",
        "params.other not in [1]",
        "params.lr < small",
        "params.sizes < 3",
        "params.none < 3",
        "params.debug < 3",
        "params.debug = 1",
        "tags.other",
        "status = failed and version = 1",
        "metrics.bad < 1 or metrics.bad >= 1",
    ],
)
def test_what_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_the_names_that_are_asked() -> None:
    names = parse_condition("params.lr < 1 and (status = failed or not params.lr)").names
    assert names == ("params.lr", "status")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a name, such as `status`, `params.lr` or `tags.x`\n  \n  ^"),
        ("params.lr <", "a number, a word or a text in quotes\n  params.lr <\n             ^"),
        ("params.lr < 1 metrics.loss", "expected `and`, `or` or the end, not `metrics.loss`\n"),
        ("(status = failed", "expected `)`\n  (status = failed\n                  ^"),
        ("status in failed", "expected `[`\n  status in failed\n            ^"),
        ("status not failed", "expected `in`\n"),
        ("status = 'failed", "expected the other quote\n  status = 'failed\n           ^"),
        ("status ! failed", "expected `!=`\n  status ! failed\n         ^"),
        ("stats = failed", "a run has no `stats`; it has"),
        ("__import__('os')", "a run has no `__import__`; it has"),
        ("1 < params.lr", "a run has no `1`; it has"),
        ("(" * 60 + "status" + ")" * 60, "expected at most 50 parentheses and `not`\n"),
    ],
)
def test_what_is_said_of_a_wrong_one(text: str, message: str) -> None:
    with pytest.raises(ConditionError) as error:
        parse_condition(text)
    assert message in str(error.value)
