"""Two runs side by side: what they ran in, and what they measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.plan.diff import Change, fields
from specplan.results.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.results.open import Run


SERIES = ("phase", "split", "node", "name")
"""The columns that tell one metric from another, in the order in which it is named."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The last value of one series in two runs, or that of the epoch that was restored; None where there is none."""

    phase: str
    split: str | None
    node: str | None
    name: str
    before: float | None
    after: float | None


def compare_environments(before: Run, after: Run) -> Iterator[Change]:
    """Versions, host and state of the repository that differ.

    Raises:
        RunError: environment.json is damaged.
    """
    old, new = environment_of(before), environment_of(after)
    for section in dict.fromkeys((*old, *new)):
        sections = (_as_section(environment.get(section)) for environment in (old, new))
        yield from fields(section, *sections)


def compare_metrics(before: Run, after: Run) -> list[Measured]:
    """Every series of both runs."""
    old, new = _last_values(before), _last_values(after)
    return [
        Measured(
            **dict(zip(SERIES, series, strict=True)), before=old.get(series), after=new.get(series)
        )
        for series in dict.fromkeys((*old, *new))
    ]


def environment_of(run: Run) -> dict[str, Any]:
    """What the run ran in, by section; nothing where there is no environment.json.

    Raises:
        RunError: environment.json is damaged.
    """
    found = read_environment(run.folder)
    if not found:
        return {}
    host = {"name": run.run_file.sessions[-1].host, **_as_section(found.get("host"))}
    return {**found, "host": host}


def _as_section(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _last_values(run: Run) -> dict[tuple[Any, ...], float]:
    return {tuple(row[column] for column in SERIES): row["value"] for row in run.last_metrics()}
