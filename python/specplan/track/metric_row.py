"""One row of metrics as the records have it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from specplan._native import StoreReader
from specplan.base.redaction import redacted
from specplan.store.documents import channels_of, documents
from specplan.store.fields import METRICS
from specplan.store.run_files import timestamp
from specplan.track.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.store.layout import RunFolder

STAMP = "_ts"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END_OF_TIME = 2**63
_ODD = ("nan", "inf", "-inf")


class MetricRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What was logged at once under one name.

    Attributes:
        index: 0 for the first row of the name, and so on.
        data: by field, and `_ts`, the time in seconds since 1970.
        created_at: ISO 8601 in UTC.
        not_finite: fields whose value is a number that JSON has not; it is there as "nan", "inf" or "-inf".
    """

    index: int
    data: dict[str, Any]
    created_at: str
    not_finite: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any], *, index: int, stamp: float) -> MetricRow:
        """A row of values of a program.

        Raises:
            TypeError: a value is none that JSON holds.
        """
        data = plain(fields, "metrics")
        odd = (
            name
            for name, value in data.items()
            if value in _ODD and not isinstance(fields[name], str)
        )
        return cls(
            index=index,
            data={**data, STAMP: stamp},
            created_at=timestamp("microseconds"),
            not_finite=tuple(odd),
        )

    @property
    def created(self) -> int:
        """When it was logged, in nanoseconds since 1970; its numbers are of that time, here and at a server.

        Raises:
            ValueError: `created_at` is no time that the records can have.
        """
        moment = datetime.fromisoformat(self.created_at).astimezone(UTC)
        nanoseconds = (moment - _BEGINNING) // timedelta(microseconds=1) * 1000
        if not 0 <= nanoseconds < _END_OF_TIME:
            raise ValueError(f"createdAt is {self.created_at}, which no record can have")
        return nanoseconds

    def without_secrets(self) -> MetricRow:
        """The row without secrets in its texts. Its numbers stay, whatever they are called: they are measured."""
        hidden = {
            name: redacted(value, name)
            for name, value in self.data.items()
            if not isinstance(value, int | float) and name not in self.not_finite
        }
        return msgspec.structs.replace(self, data={**self.data, **hidden}) if hidden else self

    @property
    def numbers(self) -> dict[str, float]:
        """The fields that are numbers."""
        return {
            name: float(value)
            for name, value in self.data.items()
            if name != STAMP and (isinstance(value, int | float) or name in self.not_finite)
        }


def row_without_numbers(folder: RunFolder) -> tuple[str, int, dict[str, float], int] | None:
    """Name, index, numbers and time of the last row of metrics, if a kill came before its numbers: they are recorded next."""
    if not folder.records.exists():
        return None
    reader = StoreReader.open(str(folder.records))
    rows = channels_of(reader, METRICS)
    ends = {int(each.index()["sequence"][-1]): each for each in rows if each.batches}
    if not ends or max(ends) <= reader.last_metric:
        return None
    channel = ends[max(ends)]
    (row,) = documents(channel, MetricRow, first=channel.batches - 1)
    return channel.node, row.index, row.numbers, row.created
