"""Conditions on runs, as in `params.lr < 0.01 and metrics.loss < 0.5`.

    condition   = term {"or" term}
    term        = factor {"and" factor}
    factor      = "not" factor | "(" condition ")" | comparison
    comparison  = name | name operator value | name ["not"] "in" "[" value {"," value} "]"
    operator    = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~"
    value       = number | "true" | "false" | "null" | word | text in '' or ""

Nothing is evaluated but this. A name alone asks whether the run has it; `~` compares with a pattern of `*`, `?` and
`[...]`. A comparison with what a run has not is false, and so is one of order between a number and a text.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Callable

    Lookup = Callable[[str], Any]

FACTS = ("experiment", "run", "version", "status", "host", "started", "ended", "plan", "folder")
"""What every run has."""
KINDS = ("params.", "metrics.", "tags.")
"""Beginnings of the names of what only some have."""
ABSENT = object()
"""The value of what a run has not."""
DEEPEST = 50

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<mark><=|>=|==|!=|[<>=~()\[\],])|(?P<word>[^\s<>=~!()\[\],'"]+))"""
)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERATORS = ("=", "==", "!=", "~", *_ORDERS)
_CONSTANTS = {"true": True, "false": False, "null": None}


class ConditionError(ValueError):
    """A condition that cannot be understood: the text, a mark under the place, and what is allowed there."""


class Condition(msgspec.Struct, frozen=True):
    """Whether a run is meant.

    Attributes:
        names: what it asks of a run.
        holds: takes a function from these names to values, `ABSENT` for what the run has not.
    """

    names: tuple[str, ...]
    holds: Callable[[Lookup], bool]


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
        ConditionError: it is none.
    """
    return _Parser(text).parse()


def check_name(name: str) -> None:
    """Raise ValueError where nothing of a run is called so."""
    if name in FACTS or any(name.startswith(kind) and name != kind for kind in KINDS):
        return
    known = choices(name, [*FACTS, *(f"{kind}NAME" for kind in KINDS)])
    raise ValueError(f"a run has no `{name}`; it has {known}")


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    at: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._divide()
        self._next = 0
        self._depth = 0
        self._names: dict[str, None] = {}

    def parse(self) -> Condition:
        holds = self._alternatives()
        if (token := self._peek()) is not None:
            raise self._fault(token.at, f"`and`, `or` or the end, not `{token.text}`")
        return Condition(tuple(self._names), holds)

    def _alternatives(self) -> Callable[[Lookup], bool]:
        terms = [self._term()]
        while self._take("or"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda run: any(term(run) for term in terms)

    def _term(self) -> Callable[[Lookup], bool]:
        factors = [self._factor()]
        while self._take("and"):
            factors.append(self._factor())
        return factors[0] if len(factors) == 1 else lambda run: all(each(run) for each in factors)

    def _factor(self) -> Callable[[Lookup], bool]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._fault(self._place(), f"at most {DEEPEST} parentheses and `not`")
        if self._take("not"):
            inner = self._factor()
            holds: Callable[[Lookup], bool] = lambda run: not inner(run)  # noqa: E731
        elif self._take("("):
            holds = self._alternatives()
            self._demand(")")
        else:
            holds = self._comparison()
        self._depth -= 1
        return holds

    def _comparison(self) -> Callable[[Lookup], bool]:
        name = self._name()
        token = self._peek()
        if token is not None and token.kind == "mark" and token.text in _OPERATORS:
            self._next += 1
            compare = _comparing(token.text, self._value())
            return lambda run: (found := run(name)) is not ABSENT and compare(found)
        negated = token is not None and token.text == "not" and self._take("not")
        if not negated and not (token is not None and token.text == "in"):
            return lambda run: run(name) is not ABSENT
        self._demand("in")
        values = self._values()
        return lambda run: (
            (found := run(name)) is not ABSENT
            and any(_equal(found, value) for value in values) != negated
        )

    def _name(self) -> str:
        token = self._peek()
        if token is None or token.kind != "word":
            raise self._fault(self._place(), "a name, such as `status`, `params.lr` or `tags.x`")
        try:
            check_name(token.text)
        except ValueError as error:
            raise ConditionError(f"{error}\n{self._mark(token.at)}") from None
        self._next += 1
        self._names[token.text] = None
        return token.text

    def _values(self) -> list[_Value]:
        self._demand("[")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._demand("]")
        return values

    def _value(self) -> _Value:
        token = self._peek()
        if token is None or token.kind == "mark":
            raise self._fault(self._place(), "a number, a word or a text in quotes")
        self._next += 1
        if token.kind == "text":
            return _Value(token.text[1:-1], token.text[1:-1])
        return _Value(token.text, _constant(token.text))

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _place(self) -> int:
        token = self._peek()
        return len(self._text) if token is None else token.at

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind == "text" or token.text != text:
            return False
        self._next += 1
        return True

    def _demand(self, text: str) -> None:
        if not self._take(text):
            raise self._fault(self._place(), f"`{text}`")

    def _divide(self) -> list[_Token]:
        tokens: list[_Token] = []
        text = self._text.rstrip()
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                raise self._fault(at, "the other quote" if text[at] in "'\"" else "`!=`")
            kind = str(found.lastgroup)
            tokens.append(_Token(kind, found[kind], found.start(kind)))
            at = found.end()
        return tokens

    def _fault(self, at: int, expected: str) -> ConditionError:
        return ConditionError(f"expected {expected}\n{self._mark(at)}")

    def _mark(self, at: int) -> str:
        line = "".join(character if character.isprintable() else " " for character in self._text)
        return f"  {line}\n  {' ' * at}^"


class _Value(msgspec.Struct, frozen=True):
    """A value as it was written, for texts, and what it means beside them."""

    text: str
    meant: Any

    def like(self, found: Any) -> Any:
        return self.text if isinstance(found, str) else self.meant


def _constant(word: str) -> Any:
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _comparing(mark: str, value: _Value) -> Callable[[Any], bool]:
    if mark == "~":
        return lambda found: fnmatch.fnmatchcase(str(found), value.text)
    if mark in ("=", "=="):
        return lambda found: _equal(found, value)
    if mark == "!=":
        return lambda found: not _equal(found, value)
    return lambda found: _in_order(_ORDERS[mark], found, value.like(found))


def _equal(found: Any, value: _Value) -> bool:
    other = value.like(found)
    # True is no 1 here.
    return isinstance(found, bool) == isinstance(other, bool) and bool(found == other)


def _in_order(order: Callable[[Any, Any], bool], found: Any, other: Any) -> bool:
    for kind in (str, int | float):
        if isinstance(found, kind) and isinstance(other, kind):
            return (
                not isinstance(found, bool) and not isinstance(other, bool) and order(found, other)
            )
    return False
