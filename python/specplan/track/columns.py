"""What calls of a program write into the records of a run: each column is opened with its first value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan._native import StoreReader
from specplan.store.documents import channel_of
from specplan.store.metric_log import MetricLog
from specplan.store.recorder import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from specplan.store.layout import RunFolder
    from specplan.store.metric_log import Metric
    from specplan.store.recorder import Recorder
    from specplan.track.point import Point, Series

_LARGEST_STEP = 2**53
_LARGEST_EPOCH = 2**31 - 1


class Columns:
    """The metrics and documents of one session. Not safe to call from several threads.

    Args:
        recorder: writes them.
        folder: of the run, for reading what earlier sessions wrote as well.
        goes_on: whether there are some.

    Attributes:
        metrics: records metrics.
    """

    def __init__(self, recorder: Recorder, folder: RunFolder, *, goes_on: bool) -> None:
        self._recorder = recorder
        self._folder = folder
        self._text_counts: dict[tuple[str, str], int] = {}
        self.metrics = MetricLog(recorder, "", self._steps_before if goes_on else dict)
        self._points: dict[Series, Callable[..., int]] = {}
        self._texts: dict[tuple[str, str], Callable[..., int]] = {}

    def log_numbers(
        self, node: str, index: int, numbers: Mapping[str, float], time: int | None
    ) -> None:
        """Record the numbers of a row under a name: where it says no step, its index is that.

        Step and epoch are the place of the others, and no series of their own; under a name they are where
        nothing else was measured.
        """
        step = _whole(numbers.get("step"), _LARGEST_STEP)
        epoch = _whole(numbers.get("epoch"), _LARGEST_EPOCH)
        place = {"step": step, "epoch": epoch}
        measured = {name: value for name, value in numbers.items() if place.get(name) != value}
        if node and not measured:
            measured = dict(numbers)
        if measured:
            self.metrics.log(
                measured,
                step=index if step is None else step,
                epoch=epoch,
                split=node or None,
                time=time,
            )

    def log_points(self, series: Series, points: Sequence[Point]) -> None:
        """Record values of one series, each at its place."""
        if series not in self._points:
            label = (series.node, series.split, series.name)
            self._points[series] = self._recorder.series(series.phase, [label])
        for point in points:
            place = (point.epoch, point.batch, point.step, point.time)
            self._points[series](point.value, *place)

    def log_text(self, field: str, node: str, text: str) -> None:
        """Record a JSON document under a field, and a name below it."""
        key = (field, node)
        if key not in self._texts:
            self._texts[key] = self._recorder.texts("", node=node, field=field)
        self._texts[key]([text], WHOLE, WHOLE)
        if key in self._text_counts:
            self._text_counts[key] += 1

    def count(self, field: str, node: str) -> int:
        """How many documents were recorded under a field and a name below it."""
        key = (field, node)
        if key not in self._text_counts:
            channel = channel_of(self.reader(), field, node)
            self._text_counts[key] = 0 if channel is None else channel.rows
        return self._text_counts[key]

    def reader(self) -> StoreReader:
        """Everything that was recorded so far."""
        self._recorder.sync()
        return StoreReader.open(str(self._folder.records))

    def _steps_before(self) -> dict[Metric, int]:
        # It needs pyarrow, which a run that begins does not.
        from specplan.track.points import greatest_steps

        return greatest_steps(self.reader())


def _whole(value: float | None, largest: int) -> int | None:
    """A place that the records can have; None for any other number."""
    return None if value is None or not abs(value) <= largest else int(value)
