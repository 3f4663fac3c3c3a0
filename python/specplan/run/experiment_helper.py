"""What the function of a call phase is given beside its configuration."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from specplan.run.deadline import remaining_time
from specplan.run.reported import Reporter
from specplan.spec.configuration import RunMode
from specplan.store.fields import PROGRESS
from specplan.store.metric_log import MetricLog
from specplan.store.recorder import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from specplan.store.recorder import Recorder


class ExperimentHelper:
    """The first argument of `run(helper, cfg)`. A class derived from it is made where `run` says so.

    Attributes:
        folder: the folder of the run.
        configuration: the second argument of `run`.
        args: words that were given after the YAML file.
        run_mode: `NORMAL` wherever a function is called.
        reporter: records what `progress` and `tqdm` tell.
    """

    def __init__(
        self,
        *,
        folder: Path,
        configuration: Any,
        args: tuple[str, ...],
        recorder: Recorder,
        phase: str,
        opens: Callable[[], Any] | None = None,
    ) -> None:
        self.folder = folder
        self.configuration = configuration
        self.args = args
        self.run_mode = RunMode.NORMAL
        self._recorder = recorder
        self._phase = phase
        self._opens = opens
        self._metrics = MetricLog(recorder, phase)
        self._progress: Callable[..., int] | None = None
        self.reporter = Reporter(self._record_progress)

    @functools.cached_property
    def xp(self) -> Any:
        """The experiment that the function runs in: `helper.xp.submit(function, params)`, services, `wait`.

        Its jobs are done before the call is over, which fails where one of them does. A second process that
        asks for it waits until then.

        Raises:
            RuntimeError: no command runs the plan, but a program or a sweep.
        """
        if self._opens is None:
            raise RuntimeError(
                "helper.xp is there in `mlx run-experiment`, `mlx run` and `mlx resume`\n"
                "hint: a program of its own has `with experiment(workdir, id) as xp`"
            )
        return self._opens()

    def log_metrics(
        self,
        metrics: Mapping[str, float],
        step: int | None = None,
        *,
        epoch: int | None = None,
        split: str | None = None,
    ) -> None:
        """Record a value for each of some metrics.

        Without `step`, it is the one after the greatest of these metrics so far; the first is 0.

        Raises:
            TypeError: a value is no number.
        """
        self._metrics.log(metrics, step=step, epoch=epoch, split=split)

    def log_artifact(
        self, name: str, value: Any, *, step: int | None = None, epoch: int | None = None
    ) -> None:
        """Keep a figure, array, tensor, frame, JSON value, text, bytes, or copy of a file or folder.

        The value of a name that was used before becomes its next version.
        """
        self._recorder.artifact(name, value, epoch=epoch, step=step)

    def progress(self, value: float, level: int = 0, desc: str | None = None) -> None:
        """Say how far the function is, from 0 to 1; `level` 1 and so on are loops inside.

        Raises:
            ValueError: the value is no number, or the level is negative.
        """
        self.reporter.report(value, level, desc)

    def remaining_time(self) -> float | None:
        """Seconds until the process is asked to end, by the `timeout` of its job or by Slurm; None without a limit.

        Where that is not enough for the next step, raise `GracefulTimeout`.
        """
        return remaining_time()

    def _record_progress(self, text: str) -> None:
        if self._progress is None:
            self._progress = self._recorder.texts(self._phase, node="", field=PROGRESS)
        self._progress([text], WHOLE, WHOLE)

    @property
    def last_metrics(self) -> dict[str, float]:
        """The last value of each metric that was logged."""
        return dict(self._metrics.last)
