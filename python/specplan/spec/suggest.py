"""Did you mean."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST_PART = 3
"""Letters that a beginning or a part of a name has at least before it says which name is meant."""

_FEW = 50
"""Names that are all compared letter by letter."""

_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` probably means; None where none is near.

    In this order: the same but for case and separators, another word for it, a slip of the keys, the same
    words otherwise arranged, its beginning, and a part of it.
    """
    candidates = tuple(dict.fromkeys(known))
    return near(name, candidates) or _by_parts(name, _compared(name, candidates))


def near(name: str, known: Iterable[str]) -> str | None:
    """As `closest`, but only what is almost certain."""
    whole = tuple(dict.fromkeys(known))
    bare = _bare(name)
    if not bare:
        return None
    same, others = _index(whole)
    if bare in same or bare in others:
        return same.get(bare) or others[bare]
    candidates = _compared(name, whole)
    if len(bare) < _SHORTEST_PART + 1:
        for candidate in candidates:
            if sorted(_bare(candidate)) == sorted(bare):
                return candidate
    distances = [(_slips(name, candidate), candidate) for candidate in candidates]
    likely = [(slips, candidate) for slips, candidate in distances if slips is not None]
    if likely:
        return min(likely, key=lambda pair: pair[0])[1]
    words = _words(name)
    return next((item for item in candidates if len(words) > 1 and _words(item) == words), None)


@functools.lru_cache(maxsize=16)
def _index(names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Names by their letters, and by other words for them; of two the first."""
    same: dict[str, str] = {}
    others: dict[str, str] = {}
    for name in names:
        same.setdefault(_bare(name), name)
        for word in _other_words(name):
            others.setdefault(word, name)
    return same, others


def _compared(name: str, names: tuple[str, ...]) -> list[str]:
    """The names that `name` is compared with letter by letter: of many that differ in digits only, one.

    Otherwise a thousand slips among a thousand numbered names would be a million comparisons.
    """
    if len(names) <= _FEW:
        return list(names)
    digits = tuple(_DIGITS.findall(name))
    return [_by_digits(alike).get(digits, alike[0]) for alike in _alike(names)]


@functools.lru_cache(maxsize=16)
def _alike(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_DIGITS.sub("0", name), []).append(name)
    return tuple(map(tuple, groups.values()))


@functools.lru_cache(maxsize=256)
def _by_digits(alike: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for name in alike:
        found.setdefault(tuple(_DIGITS.findall(name)), name)
    return found


def same_but_for_case(name: str, other: str) -> bool:
    """Whether two names differ in nothing but case and separators."""
    return _bare(name) == _bare(other)


def _by_parts(name: str, candidates: list[str]) -> str | None:
    bare = _bare(name)
    longer = [item for item in candidates if len(bare) >= _SHORTEST_PART and _begins(item, bare)]
    if longer:
        return min(longer, key=len)
    shorter = [item for item in candidates if len(_bare(item)) >= _SHORTEST_PART]
    shorter = [item for item in shorter if _begins(name, _bare(item))]
    if shorter:
        return max(shorter, key=len)
    shares = [(_shared(name, candidate), candidate) for candidate in candidates]
    best = max(shares, default=(0.0, ""), key=lambda pair: pair[0])
    return best[1] if best[0] >= 0.5 else None


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _begins(name: str, beginning: str) -> bool:
    return _bare(name).startswith(beginning)


@functools.cache
def _other_words(name: str) -> frozenset[str]:
    from specplan.spec.synonyms import SYNONYMS

    return frozenset(map(_bare, SYNONYMS.get(name, "").split()))


@functools.cache
def _word_classes() -> dict[str, str]:
    from specplan.spec.synonyms import SAME_WORDS

    return {word: name for name, words in SAME_WORDS.items() for word in words.split()}


def _words(name: str) -> list[str]:
    classes = _word_classes()
    words = (word.casefold() for word in _WORD.findall(name))
    return sorted(classes.get(word, word) for word in words)


def _shared(name: str, candidate: str) -> float:
    """Share of the words of both names that they have in common."""
    words, others = set(_words(name)), set(_words(candidate))
    common = {word for word in words & others if len(word) >= _SHORTEST_PART}
    return len(common) / len(words | others) if common else 0.0


def _slips(name: str, candidate: str) -> float | None:
    """How far the names are apart if a slip of the keys may explain it, None if not.

    Names that differ in nothing but digits were told apart on purpose.
    """
    written, meant = name.casefold(), candidate.casefold()
    longest = max(len(written), len(meant))
    most = min(longest // 3, 4)
    if abs(len(written) - len(meant)) > most or min(len(written), len(meant)) < 2:
        return None
    if re.sub(r"\d", "0", written) == re.sub(r"\d", "0", meant):
        return None
    # The first letter is seldom wrong, unless it changed places with the second.
    same_beginning = written[0] == meant[0] or written[:2] == meant[1::-1]
    slips = distance(written, meant) + (0 if same_beginning else 0.5)
    return slips if slips <= most else None


def distance(first: str, second: str) -> int:
    """Letters to insert, drop, replace or swap with their neighbour: restricted Damerau-Levenshtein."""
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        before, previous, row = row, before, [i]
        for j, other in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            swapped = i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other
            row.append(min(cost, previous[j - 2] + 1) if swapped else cost)
    return row[-1]
