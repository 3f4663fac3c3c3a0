"""What is recorded of scikit-learn's estimators, so that a spec can be checked without importing it.

`estimators.json` is written by tools/generate_estimators.py.
"""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Estimator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One estimator.

    Attributes:
        parameters: each parameter that a spec can set, with its default in the form of a plan.
        accepts: the values that a parameter takes, as words (see `refusal`); a parameter that is
            not listed takes anything.
        closed: parameters that only a Python program can set.
        multi_output, single_output: whether a row may have several targets, and only one.
        width: of a transformer's output, "input" for the width of what it reads, otherwise the
            parameter that says it; with `narrows` no larger than the width of what it reads.
    """

    kind: Literal["regressor", "classifier", "transformer"]
    parameters: dict[str, Any]
    accepts: dict[str, tuple[str, ...]]
    closed: tuple[str, ...] = ()
    partial_fit: bool = False
    predict_proba: bool = False
    multi_output: bool = False
    single_output: bool = True
    width: str | None = None
    narrows: bool = False


class _Table(msgspec.Struct, frozen=True):
    scikit_learn: str
    estimators: dict[str, Estimator]


@functools.cache
def estimators() -> dict[str, Estimator]:
    """Every estimator that a spec can name, by `module:Class`."""
    text = Path(__file__).with_name("estimators.json").read_bytes()
    return msgspec.json.decode(text, type=_Table).estimators


_INTERVAL: Final = re.compile(r"(int|real)([\[(])(.+),(.+)([\])])")


def refusal(estimator: Estimator, parameter: str, value: Any) -> str | None:
    """What `parameter` takes, in words, where it does not take `value`; None where it does."""
    words = estimator.accepts.get(parameter)
    if words is None or any(_matches(word, value) for word in words):
        return None
    return ", ".join(_in_words(word) for word in words)


def as_written(estimator: Estimator, parameter: str, value: Any) -> Any:
    """`value` in the form of a plan: a number as the one type that the parameter takes.

    Floats that JSON would write like integers, or not at all, become `{"$float": text}`, because
    scikit-learn tells 1 from 1.0.
    """
    words = estimator.accepts.get(parameter, ())
    takes_int = any(word.startswith("int") for word in words)
    takes_real = any(word.startswith("real") for word in words)
    if isinstance(value, int) and not isinstance(value, bool) and takes_real and not takes_int:
        value = float(value)
    elif isinstance(value, float) and value.is_integer() and takes_int and not takes_real:
        value = int(value)
    return encode_floats(value)


def encode_floats(value: Any) -> Any:
    """`value` with every float that JSON cannot tell from an integer as `{"$float": text}`."""
    if isinstance(value, float):
        plain = math.isfinite(value) and not value.is_integer()
        return value if plain else {"$float": repr(value)}
    if isinstance(value, list | tuple):
        return [encode_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: encode_floats(item) for key, item in value.items()}
    return value


def decoded(estimator: Estimator, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a plan as scikit-learn wants them: floats, and tuples where a list is refused."""
    return {
        name: tuple(value)
        if isinstance(value, list) and "tuple" in estimator.accepts.get(name, ())
        else value
        for name, value in decode_floats(dict(arguments)).items()
    }


def decode_floats(value: Any) -> Any:
    """The inverse of `encode_floats`."""
    if isinstance(value, list):
        return [decode_floats(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"$float"}:
            return float(value["$float"])
        return {key: decode_floats(item) for key, item in value.items()}
    return value


def _matches(word: str, value: Any) -> bool:
    match word:
        case "none":
            return value is None
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "collection":
            return isinstance(value, list | tuple | dict)
        case "tuple":
            return isinstance(value, list | tuple)
    if word.startswith("="):
        return isinstance(value, str) and value == word[1:]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    kind, opening, left, right, closing = _interval(word)
    if kind == "int" and not float(value).is_integer():
        return False
    low, high = float(left), float(right)
    above = value >= low if opening == "[" else value > low or low == -math.inf
    below = value <= high if closing == "]" else value < high or high == math.inf
    return above and below


def _interval(word: str) -> tuple[str, ...]:
    parts = _INTERVAL.fullmatch(word)
    if parts is None:
        raise ValueError(f"estimators.json has the unknown word {word!r}")
    return parts.groups()


def _in_words(word: str) -> str:
    plain = {
        "none": "`null`",
        "bool": "`true` or `false`",
        "str": "a string",
        "collection": "a list",
        "tuple": "a list",
    }
    if word in plain:
        return plain[word]
    if word.startswith("="):
        return f"`{word[1:]}`"
    kind, opening, left, right, closing = _interval(word)
    noun = "an integer" if kind == "int" else "a number"
    bounds = []
    if left != "-inf":
        bounds.append(f"{'at least' if opening == '[' else 'above'} {left}")
    if right != "inf":
        bounds.append(f"{'at most' if closing == ']' else 'below'} {right}")
    return " ".join([noun, " and ".join(bounds)]).strip()
