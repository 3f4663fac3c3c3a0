"""How diagnostics say things."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from specplan.spec.suggest import closest, same_but_for_case
from specplan.spec.suggestion import Suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specplan.spec.suggestion import Applicability


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The hint for a name that is not known; None where no known name is near."""
    match = closest(name, known)
    if match is None:
        return None
    sure: Applicability = "safe" if same_but_for_case(name, match) else "unsafe"
    return Suggestion(
        f"did you mean `{match}`?{_of_another_script(name, match)}",
        text=match,
        replaces=name,
        applicability=sure,
    )


def _of_another_script(name: str, match: str) -> str:
    """What cannot be seen: letters of another script that look like those of `match`."""
    others = [
        letter for letter in dict.fromkeys(name) if not letter.isascii() and letter not in match
    ]
    if not others:
        return ""
    import unicodedata  # names are as good as always written in one script

    first = others[0]
    called = unicodedata.name(first, "without a name").lower()
    return f" the {first!r} that is written is U+{ord(first):04X}, {called}"


def in_yaml(value: object) -> str:
    """A value as YAML writes it on one line, with quotes only where they are needed."""
    match value:
        case dict():
            members = ", ".join(f"{in_yaml(key)}: {in_yaml(item)}" for key, item in value.items())
            return f"{{{members}}}"
        case list():
            return f"[{', '.join(map(in_yaml, value))}]"
        case str() if _PLAIN.fullmatch(value) and value not in _RESERVED:
            return value
        case _:
            return as_json(value)


_MOST_NAMES = 50
_LONGEST = 80
_PLAIN = re.compile(r"[A-Za-z_./$][\w./$:+-]*(?<!:)")
_RESERVED = {"true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL"}


def quoted(names: Iterable[str]) -> str:
    """Names in backticks, with commas between them; of very many the first."""
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return ", ".join(f"`{name}`" for name in listed[:_MOST_NAMES]) + more


def shortened(text: str) -> str:
    """A text that may be of any length, on one line."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def as_json(value: object) -> str:
    """A value as JSON writes it, on one line."""
    import json  # most specs are right, and nothing is said of them

    return json.dumps(value, ensure_ascii=False)


def with_article(noun: str) -> str:
    """`a loss`, `an optimizer`."""
    return f"{'an' if noun[0] in 'aeioAEIO' else 'a'} {noun}"


def shown(value: object) -> str:
    """A scalar as JSON writes it, a collection by its type only."""
    match value:
        case list():
            return "list"
        case dict():
            return "mapping"
        case _:
            return as_json(value)


def kind_of(value: object) -> str:
    """What a value is, in the words of JSON and YAML: `string "1e-3"`, `list`."""
    match value:
        case bool():
            return f"boolean {shown(value)}"
        case int() | float():
            return f"number {shown(value)}"
        case str():
            return f"string {shown(value)}"
        case _:
            return shown(value)


def choices(name: object, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: what is, and which of it was meant."""
    names = list(known)
    hint = did_you_mean(name, names) if isinstance(name, str) else None
    return (quoted(names) or "none") + (f"; {hint}" if hint else "")
