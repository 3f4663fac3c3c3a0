"""Options that say which runs are meant by what is known of them."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.results.conditions import Condition
    from specplan.results.index import Listed

F = TypeVar("F", bound="Callable[..., Any]")

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[str]):
    """A day or time as ISO 8601, or how long ago it was; becomes a time in UTC."""

    name = "moment"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from specplan.store.run_files import iso

        try:
            return iso(_moment(value))
        except (ValueError, OverflowError):  # the latter before the year 1 and after the year 9999
            return self.fail(
                f"`{value}` is no time: `2026-01-31`, `2026-01-31T12:00`, or an age such as `90m`, "
                "`12h`, `30d`",
                param,
                ctx,
            )


def _moment(text: str) -> datetime:
    if found := _AGE.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: float(found[1])})
    return datetime.fromisoformat(text).astimezone(UTC)  # without an offset it is local time


class ConditionType(click.ParamType["Condition"]):
    """A condition on runs, see results/conditions.py."""

    name = "condition"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Condition:
        from specplan.results.conditions import ConditionError, parse_condition

        try:
            return parse_condition(value)
        except ConditionError as error:
            return self.fail(str(error), param, ctx)


class StatusType(click.ParamType[str]):
    """A status of runs, in any case and under either name."""

    name = "status"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from specplan.spec.wording import choices
        from specplan.store.run_file import Status

        try:
            return Status(value.lower())
        except ValueError:
            known = [status.value for status in Status if status is not Status.SKIPPED]
            return self.fail(f"no status `{value}`; known: {choices(value, known)}", param, ctx)


class Filter(msgspec.Struct, frozen=True):
    """What runs have to be; those of no kind are all."""

    statuses: tuple[str, ...]
    tags: tuple[str, ...]
    since: str | None
    until: str | None
    where: Condition | None

    @property
    def asks(self) -> bool:
        """Whether it asks for anything."""
        return any((self.statuses, self.tags, self.since, self.until, self.where))

    def admits(self, run: Listed) -> bool:
        """Whether a run is meant. The cheap questions come first: metrics are asked only of what is left."""
        started = run.entry.created_at
        return (
            (self.since is None or started >= self.since)
            and (self.until is None or started < self.until)
            and (not self.statuses or run.status in self.statuses)
            and all(_has(run, tag) for tag in self.tags)
            and (self.where is None or self.where.holds(run.value))
        )


def filter_options(function: F) -> F:
    """--status, --tag, --since, --until and --where, as the argument `chosen`."""

    @click.option(
        "--status",
        "statuses",
        type=StatusType(),
        multiple=True,
        help="Only runs that stand so. May be repeated: one of them.",
    )
    @click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Only runs with this tag. May be repeated: all of them.",
    )
    @click.option("--since", type=Moment(), metavar="TIME", help="Begun then or later.")
    @click.option(
        "--until",
        "--older-than",
        "until",
        type=Moment(),
        metavar="TIME",
        help="Begun before: a day, a time, or `30d` ago.",
    )
    @click.option(
        "--where",
        type=ConditionType(),
        metavar="CONDITION",
        help="As in `params.lr < 0.01 and metrics.loss < 0.5` (docs/commands.md).",
    )
    @functools.wraps(function)
    def filtered(
        *arguments: Any,
        statuses: tuple[str, ...],
        tags: tuple[str, ...],
        since: str | None,
        until: str | None,
        where: Condition | None,
        **options: Any,
    ) -> Any:
        chosen = Filter(statuses, tags, since, until, where)
        return function(*arguments, chosen=chosen, **options)

    return cast("F", filtered)


def _has(run: Listed, tag: str) -> bool:
    name, divided, value = tag.partition("=")
    return name in run.tags and (not divided or run.tags[name] == value)
