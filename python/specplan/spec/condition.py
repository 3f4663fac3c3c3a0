"""Conditions on metrics: `PHASE/METRIC OP NUMBER`, and nothing else. Nothing is evaluated."""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

Comparison = Literal["<", "<=", ">", ">=", "=="]
COMPARISONS: tuple[Comparison, ...] = ("<", "<=", ">", ">=", "==")

_OPERATOR = re.compile(r"[<>=!~]+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_FORM = "`PHASE/METRIC < NUMBER`"
_EXAMPLE = "such as `val/mse < 0.1`"
_MEANT = {"=": "==", "===": "==", "=<": "<=", "=>": ">=", "<<": "<", ">>": ">"}


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of a metric with a number.

    Attributes:
        phase: how the condition calls the phase: labels joined by dots.
        phase_span, metric_span: where in the text the two names stand.
    """

    phase: str
    metric: str
    op: Comparison
    value: float
    phase_span: tuple[int, int]
    metric_span: tuple[int, int]


class ConditionError(ValueError):
    """A text that is no condition: `span` says which characters are wrong."""

    def __init__(self, message: str, span: tuple[int, int], hint: str | None = None) -> None:
        super().__init__(message)
        self.span = span
        self.hint = hint


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
        ConditionError: it is none.
    """
    operator = _OPERATOR.search(text)
    if operator is None:
        raise ConditionError(f"a condition is {_FORM}", (0, len(text)), _EXAMPLE)
    op = next((known for known in COMPARISONS if known == operator[0]), None)
    if op is None:
        message = f"`{operator[0]}` is no comparison; known: {', '.join(COMPARISONS)}"
        meant = _MEANT.get(operator[0])
        raise ConditionError(
            message, operator.span(), f"did you mean `{meant}`?" if meant else None
        )
    start, name = _stripped(text, 0, operator.start())
    phase, _, metric = name.partition("/")
    if not (phase and metric) or phase != phase.strip() or metric != metric.strip():
        message = f"`{name}` is no metric of a phase, `PHASE/METRIC`"
        before, dot, after = name.rpartition(".")
        hint = f"did you mean `{before}/{after}`?" if dot and "/" not in name else _EXAMPLE
        raise ConditionError(message, (start, start + max(len(name), 1)), hint)
    right, number = _stripped(text, operator.end(), len(text))
    value = float(number) if _NUMBER.fullmatch(number) else math.nan
    if not math.isfinite(value):
        message = (
            f"`{number}` is no number" if number else "there is no number after the comparison"
        )
        raise ConditionError(message, (right, right + max(len(number), 1)), _number_hint(number))
    middle = start + len(phase)
    return Condition(
        phase=phase,
        metric=metric,
        op=op,
        value=value,
        phase_span=(start, middle),
        metric_span=(middle + 1, middle + 1 + len(metric)),
    )


def _stripped(text: str, start: int, end: int) -> tuple[int, str]:
    """Where the words between `start` and `end` begin, and the words."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), part.strip()


def _number_hint(text: str) -> str | None:
    if re.search(r"\b(and|or|not)\b|&&|\|\|", text):
        return "a condition is one comparison; a group with `when` around the phase adds another"
    if re.fullmatch(r"[A-Za-z_][\w./-]*", text):
        return "a metric is compared with a number, and with nothing else"
    return None if text else _EXAMPLE
