"""Names of columns, `features.voltage.raw`, and choosing among them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from specplan.spec.arguments import checked_list
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Domain = Literal["features", "targets", "tags"]
Keys = str | list[str] | tuple[str, ...]

DOMAINS: tuple[Domain, ...] = get_args(Domain)
RAW = "raw"
TRANSFORMED = "transformed"
SAMPLE_UUIDS = "sample_uuids"
_WILD = frozenset("*?[")


class ColumnName(msgspec.Struct, frozen=True):
    """One representation of a column: what was given is `raw`, what scalers made of it `transformed`."""

    domain: Domain
    key: str
    rep: str

    def __str__(self) -> str:
        return f"{self.domain}.{self.key}.{self.rep}"

    def shown(self, *, domain: bool, rep: bool) -> str:
        """The key, with the domain before it and the representation after it where asked for."""
        before = f"{self.domain}." if domain else ""
        return f"{before}{self.key}{f'.{self.rep}' if rep else ''}"


def parsed(text: str) -> ColumnName:
    """The name that `text` writes out.

    Raises:
        ValueError: it is not `<domain>.<key>.<representation>`.
    """
    domain, _, rest = text.partition(".")
    key, _, rep = rest.rpartition(".")
    for known in DOMAINS:
        if domain == known and key and rep in (RAW, TRANSFORMED):
            return ColumnName(known, key, rep)
    raise ValueError(
        f"`{text}` is no name of a column: it is DOMAIN.KEY.REPRESENTATION, such as "
        f"`features.voltage.raw`; domains are {quoted(DOMAINS)}, representations `raw` and `transformed`"
    )


def listed(keys: Keys | None) -> list[str]:
    """One key or several; none for None.

    Raises:
        TypeError: a key is no str.
    """
    if keys is None:
        return []
    names = [keys] if isinstance(keys, str) else checked_list("what names columns", keys)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"the key of a column is a str, not {type(name).__name__}")
    return names


def chosen(
    owner: str,
    available: Sequence[ColumnName],
    by_domain: Mapping[Domain, Keys | None],
    *,
    columns: Keys | None = None,
    rep: str | None = None,
) -> list[ColumnName]:
    """The columns that selectors name, in the order in which they are available.

    A selector is a key, a key with its representation, or a pattern with `*`, in `columns` after its
    domain. `rep` is for selectors that name none; without it they mean every representation.

    Raises:
        ValueError: a selector names no column of `owner`, or no such representation exists.
    """
    found: set[ColumnName] = set()
    for selector in listed(columns):
        domain, _, rest = selector.partition(".")
        if domain not in DOMAINS and not _WILD & set(domain):
            raise ValueError(
                f"`{selector}` of {owner}: a column is DOMAIN.KEY, and the domain is one of "
                f"{quoted(DOMAINS)}"
            )
        within = [name for name in available if fnmatchcase(name.domain, domain)]
        found.update(_matching(owner, selector, rest or "*", within, rep))
    for domain, selectors in by_domain.items():
        within = [name for name in available if name.domain == domain]
        for selector in listed(selectors):
            short = selector.removeprefix(f"{domain}.")
            found.update(_matching(owner, selector, short, within, rep, domain))
    return [name for name in available if name in found]


def _matching(
    owner: str,
    selector: str,
    pattern: str,
    within: Sequence[ColumnName],
    rep: str | None,
    domain: str = "columns",
) -> Iterable[ColumnName]:
    exact = [name for name in within if name.key == pattern]
    if exact:
        return _of_rep(owner, pattern, exact, rep)
    written = [name for name in within if f"{name.key}.{name.rep}" == pattern]
    if written:
        return written
    if _WILD & set(pattern):
        matched = list(_wild(pattern, within, rep))
        if matched or not within:
            return matched
    known = list(dict.fromkeys(name.key for name in within))
    raise ValueError(
        f"`{selector}` is not among the {domain} of {owner}; they are: {choices(pattern, known)}"
    )


def _wild(pattern: str, within: Iterable[ColumnName], rep: str | None) -> Iterator[ColumnName]:
    for name in within:
        if fnmatchcase(name.key, pattern):
            if rep is None or name.rep == rep:
                yield name
        elif fnmatchcase(f"{name.key}.{name.rep}", pattern):
            yield name


def _of_rep(
    owner: str, key: str, names: Sequence[ColumnName], rep: str | None
) -> Iterable[ColumnName]:
    if rep is None:
        return names
    held = [name for name in names if name.rep == rep]
    if not held:
        reps = [name.rep for name in names]
        raise ValueError(
            f"`{key}` of {owner} has no representation `{rep}`; it has: {choices(rep, reps)}"
        )
    return held


def one_rep_each(owner: str, names: Iterable[ColumnName]) -> list[ColumnName]:
    """`names`, of which no two are of one key.

    Raises:
        ValueError: a key has several representations here.
    """
    by_key: dict[tuple[str, str], ColumnName] = {}
    for name in names:
        other = by_key.setdefault((name.domain, name.key), name)
        if other != name:
            raise ValueError(
                f"`{name.key}` of {owner} has the representations `{other.rep}` and `{name.rep}`; "
                "say which is meant with `rep`"
            )
    return list(by_key.values())
