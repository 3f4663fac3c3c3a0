"""Running a sweep: points become runs, and what becomes of the runs says which points come next."""

from __future__ import annotations

import math
import signal
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import msgspec

from specplan.store.run_file import Status
from specplan.store.run_files import timestamp
from specplan.store.sweep_file import SweepFile
from specplan.sweep.dataset import write_missing
from specplan.sweep.folder import SweepFolder, open_sweep
from specplan.sweep.measured import final_value
from specplan.sweep.messages import Ended, Measured, Progressed, Verdict, Watch, order_of
from specplan.sweep.points import restored, values_of
from specplan.sweep.pool import Pool
from specplan.sweep.search import planned, search_for
from specplan.sweep.spec import compile_point

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from specplan.plan.model import Compiled
    from specplan.store.sweep_file import SweepPoint
    from specplan.sweep.messages import Message
    from specplan.sweep.pool import Worker
    from specplan.sweep.search import Planned
    from specplan.sweep.spec import Sweep


class Swept(msgspec.Struct, frozen=True):
    """A sweep that was run as far as it comes.

    Attributes:
        refused: why runs could not even begin, by their ids: their data are not there, for instance.
    """

    folder: SweepFolder
    refused: dict[str, str]


class View(Protocol):
    """What a person is shown of a sweep that goes on."""

    def sweep_began(self, folder: SweepFolder, runs: int) -> None:
        """There will be so many runs at most."""

    def run_known(self, point: SweepPoint, status: Status, value: float | None) -> None:
        """The run of a point was there already, and is left as it is."""

    def run_began(self, point: SweepPoint, compiled: Compiled, *, goes_on: bool) -> None:
        """A process has the run of a point in hand."""

    def run_progressed(self, point: SweepPoint, done: int, text: str) -> None:
        """So many steps are done; what was measured last."""

    def run_ended(
        self, point: SweepPoint, status: Status, value: float | None, message: str | None
    ) -> None:
        """A run is over, or as far as it comes today; `value` is that of the sweep's metric."""

    def stopping(self) -> None:
        """A signal came: the runs end where they can be gone on with."""

    def close(self) -> None:
        """Nothing more is shown."""


def sweep_through(sweep: Sweep, root: Path, *, jobs: int, view: View, retry: bool = False) -> Swept:
    """Run every point of a sweep that has no run yet, `jobs` at a time, each in a process of its own.

    A sweep that was begun below the same root goes on: runs that are over stay, those that were stopped
    or killed are resumed. Runs that failed stay failed unless `retry` is true. Whatever `jobs` is, each run has
    the same bits, since its plan says all that decides them; only what `tpe` and pruners choose depends on
    which runs are over when they choose.

    SIGINT and SIGTERM end the runs at a boundary between steps.

    Raises:
        SpecError: with everything that is wrong with any point. Nothing has been run then.
        RunError: another process works on this sweep, or Optuna is missing.
    """
    points = planned(sweep)
    made = _new_file(sweep)
    folder = open_sweep(root, made)
    with folder.held():
        # A grid that was begun with fewer seeds goes on with more.
        folder.file = msgspec.structs.replace(folder.file, seeds=made.seeds)
        engine = _Engine(sweep, points, folder, Pool(jobs, folder.logs), view, retry=retry)
        engine.run(sweep.most_runs if points is None else len(points))
    return Swept(folder, engine.refused)


def _new_file(sweep: Sweep) -> SweepFile:
    return SweepFile(
        id="",
        experiment=sweep.base.plan.experiment.id,
        key=sweep.key,
        created_at=timestamp(),
        spec=sweep.path.name,
        method=sweep.method,
        metric=sweep.spec.metric,
        mode=sweep.spec.mode,
        seeds=None if sweep.seeds is None else sweep.seeds.count,
    )


class _Engine:
    """The loop over what processes say."""

    def __init__(
        self,
        sweep: Sweep,
        points: Sequence[Planned] | None,
        folder: SweepFolder,
        pool: Pool,
        view: View,
        *,
        retry: bool,
    ) -> None:
        self.refused: dict[str, str] = {}
        self._retry = retry
        self._sweep = sweep
        self._folder = folder
        self._pool = pool
        self._view = view
        self._search = search_for(sweep, points, folder)
        self._queue = deque(self._restored() if points is None else ())
        self._planned = None if points is None else deque(self._written_down(points))
        self._waiting: list[SweepPoint] = []
        self._signals = self._told = 0

    def run(self, runs: int) -> None:
        """Until nothing is left to do, or a signal came."""
        self._view.sweep_began(self._folder, runs)
        with self._noting_signals():
            try:
                while True:
                    self._fill()
                    self._pass_on()
                    if not self._pool.busy:
                        break
                    for worker, message in self._pool.messages():
                        self._hear(worker, message)
            finally:
                self._pool.signal(signal.SIGTERM)
                self._view.close()
                self._pool.close()
                write_missing(self._folder, self._sweep.columns)

    def _restored(self) -> Iterator[tuple[SweepPoint, Compiled]]:
        """The points that another process has chosen."""
        for point in self._folder.file.points:
            yield point, compile_point(self._sweep, restored(self._sweep.columns, point.values))

    def _written_down(self, points: Sequence[Planned]) -> Iterator[tuple[SweepPoint, Compiled]]:
        known = {point.plan_id: point for point in self._folder.file.points}
        found = [
            (
                known.get(compiled.plan.id)
                or self._folder.add(values_of(values), compiled.plan.id),
                compiled,
            )
            for values, compiled in points
        ]
        self._folder.save()
        return iter(found)

    def _next(self) -> tuple[SweepPoint, Compiled] | None:
        if self._queue:
            return self._queue.popleft()
        if self._planned is not None:
            return self._planned.popleft() if self._planned else None
        chosen = self._search.next()
        if chosen is None:
            return None
        values, compiled = chosen
        point = self._folder.add(values_of(values), compiled.plan.id)
        self._folder.save()
        return point, compiled

    def _fill(self) -> None:
        while self._pool.has_room and not self._signals:
            following = self._next()
            if following is None:
                return
            self._begin(*following)

    def _begin(self, point: SweepPoint, compiled: Compiled) -> None:
        self._search.begun(point)
        status = self._folder.status_of(point)
        if status.is_concluded or (status is Status.FAILED and not self._retry):
            self._search.over(point, status)
            self._view.run_known(point, status, self._value(point, status))
        elif any(
            worker.point is not None and worker.point.run == point.run for worker in self._pool.busy
        ):
            self._waiting.append(point)
        else:
            run = self._folder.run_of(point)
            order = order_of(compiled, run, trust=self._sweep.code.trust, watch=self._watch())
            self._view.run_began(point, compiled, goes_on=status is not Status.CREATED)
            self._pool.give(point, order)

    def _watch(self) -> Watch | None:
        if self._sweep.spec.pruner is None or self._sweep.spec.metric is None:
            return None
        phase, _, metric = self._sweep.spec.metric.rpartition("/")
        return Watch(phase, metric)

    def _hear(self, worker: Worker, message: Message) -> None:
        point = worker.point
        assert point is not None, "who has no run in hand says nothing"
        match message:
            case Progressed():
                self._view.run_progressed(point, message.done, message.text)
            case Measured():
                value = math.nan if message.value is None else message.value
                worker.send(Verdict(self._search.judged(point, message.epoch, value)))
            case Ended():
                self._ended(point, message)

    def _ended(self, point: SweepPoint, ended: Ended) -> None:
        same = [other for other in self._waiting if other.run == point.run]
        self._waiting = [other for other in self._waiting if other.run != point.run]
        for each in (point, *same):
            self._search.over(each, ended.status)
            value = self._value(each, ended.status)
            # Of a process that we have ended there is nothing to tell.
            asked = self._signals and ended.status is Status.INTERRUPTED
            self._view.run_ended(each, ended.status, value, None if asked else ended.message)
        if ended.status is Status.FAILED and not self._folder.run_of(point).run_file.is_file():
            self.refused[point.run] = ended.message or ""
        if ended.status.is_concluded:
            write_missing(self._folder, self._sweep.columns, only=point)

    def _value(self, point: SweepPoint, status: Status) -> float | None:
        if self._sweep.spec.metric is None or not status.is_concluded:
            return None
        return final_value(self._folder.run_of(point), self._sweep.spec.metric)

    @contextmanager
    def _noting_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._note) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        # Nothing is shown here: a line may be half written.
        self._signals += 1
        self._pool.signal(self._ending)

    def _pass_on(self) -> None:
        """Say that a signal came, and pass it on to a run that began meanwhile."""
        if self._signals > self._told:
            self._told = self._signals
            self._view.stopping()
        if self._signals:
            self._pool.signal(self._ending)

    @property
    def _ending(self) -> signal.Signals:
        """The first signal lets the runs end where they can be gone on with, the second one ends them."""
        return signal.SIGTERM if self._signals == 1 else signal.SIGKILL
