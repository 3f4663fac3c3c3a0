"""Metrics that the code of a user logs, several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.store.number import number
from specplan.store.recorder import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from specplan.store.recorder import Recorder

Metric = tuple[str | None, str]
"""The split and the name of a metric."""


class MetricLog:
    """Records metrics at steps. Not safe to call from several threads.

    Args:
        recorder: writes them.
        phase: the one that they belong to.
        steps_before: asked once for the greatest step of each metric in earlier sessions.

    Attributes:
        last: the last value of each name.
    """

    def __init__(
        self,
        recorder: Recorder,
        phase: str,
        steps_before: Callable[[], Mapping[Metric, int]] = dict,
    ) -> None:
        self._recorder = recorder
        self._phase = phase
        self._steps_before = steps_before
        self._before: Mapping[Metric, int] | None = None
        self._steps: dict[Metric, int] = {}
        self._logs: dict[tuple[Metric, ...], Callable[..., int]] = {}
        self.last: dict[str, float] = {}

    def log(
        self,
        metrics: Mapping[str, float],
        *,
        step: int | None,
        epoch: int | None,
        split: str | None,
        time: int | None = None,
    ) -> int:
        """Record a value of each metric; returns the step: by default the one after the greatest of these metrics.

        Raises:
            TypeError: a value is no number; then nothing is recorded.
        """
        values = {name: number(name, value) for name, value in metrics.items()}
        if not values:
            return step or 0
        key = tuple((split, name) for name in metrics)
        at = self._next(key) if step is None else int(step)
        if key not in self._logs:
            series = [(None, split, name) for name in metrics]
            self._logs[key] = self._recorder.series(self._phase, series)
        self._logs[key]([*values.values()], WHOLE if epoch is None else int(epoch), WHOLE, at, time)
        for metric in key:
            self._steps[metric] = max(at, self._steps.get(metric, at))
        self.last |= values
        return at

    def _next(self, metrics: tuple[Metric, ...]) -> int:
        if self._before is None:
            self._before = self._steps_before()
        known = (self._before, self._steps)
        return 1 + max(steps.get(metric, -1) for steps in known for metric in metrics)
