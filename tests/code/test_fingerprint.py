from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from specplan.code.fingerprint import digest_of, type_of


def scaled(factor: float) -> Any:
    return lambda value: value * factor


class Counter:
    def __init__(self, start: int, table: Any = None) -> None:
        self.start = start
        self.table = table
        self.other = object()

    def next(self) -> int:
        return self.start + 1


SAME = {
    "a closure": (scaled(2.0), scaled(2.0)),
    "an object": (Counter(1), Counter(1)),
    "an array": (Counter(1, np.arange(3)), Counter(1, np.arange(3))),
    "a partial function": (partial(scaled, 2.0), partial(scaled, 2.0)),
    "a class": (Counter, Counter),
    "a bound method": (Counter(1).next, Counter(2).next),
    "nested values": ({"a": [1, {2, 3}]}, {"a": [1, {3, 2}]}),
}
DIFFERENT = {
    "a closure": (scaled(2.0), scaled(3.0)),
    "code": (lambda a: a + 1, lambda a: a + 2),
    "a default": (lambda a=1: a, lambda a=2: a),
    "an object": (Counter(1), Counter(2)),
    "an array": (Counter(1, np.arange(3)), Counter(1, np.arange(3.0))),
    "a number and its name": (1, "1"),
    "a partial function": (partial(scaled, 2.0), partial(scaled, 2)),
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_made_alike_has_one_digest(case: str) -> None:
    one, other = SAME[case]
    assert digest_of(one) == digest_of(other)


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_is_made_otherwise_has_another_digest(case: str) -> None:
    one, other = DIFFERENT[case]
    assert digest_of(one) != digest_of(other)


def test_an_object_that_holds_itself_has_a_digest() -> None:
    around: list[Any] = [1]
    around.append(around)
    assert digest_of(around).startswith("b3:")


def test_a_type_is_named_with_its_module() -> None:
    assert type_of(Counter(1)) == type_of(Counter) == f"{__name__}:Counter"
    assert type_of(scaled) == f"{__name__}:scaled"
