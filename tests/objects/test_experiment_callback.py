from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from specplan import (
    EvalPhase,
    Experiment,
    ExperimentCallback,
    PhaseGroup,
    RunError,
    SimpleSampler,
    SpecError,
    TrainPhase,
)

if TYPE_CHECKING:
    from specplan.objects.phase import Phase
    from tests.objects.parts import Parts


class Log(ExperimentCallback):
    """Writes down each hook with what it was given."""

    def __init__(self, lines: list[str] | None = None, name: str = "", order: int = 0) -> None:
        super().__init__(execution_order=order)
        self.lines = [] if lines is None else lines
        self.name = name
        self.experiments: set[Experiment] = set()

    def on_experiment_start(self, experiment: Experiment) -> None:
        self._write(experiment, "experiment start")

    def on_experiment_end(self, experiment: Experiment) -> None:
        self._write(experiment, "experiment end")

    def on_phase_start(self, experiment: Experiment, phase: Phase) -> None:
        self._write(experiment, f"{phase.label} start")

    def on_phase_end(self, experiment: Experiment, phase: Phase) -> None:
        self._write(experiment, f"{phase.label} end")

    def on_group_start(self, experiment: Experiment, group: PhaseGroup) -> None:
        self._write(experiment, f"{group.label} start")

    def on_group_end(self, experiment: Experiment, group: PhaseGroup) -> None:
        self._write(experiment, f"{group.label} end")

    def on_exception(
        self, experiment: Experiment, phase: Phase | None, exception: BaseException
    ) -> None:
        where = "nowhere" if phase is None else phase.label
        self._write(experiment, f"{type(exception).__name__} in {where}")

    def _write(self, experiment: Experiment, line: str) -> None:
        self.experiments.add(experiment)
        self.lines.append(self.name + line)


def train(parts: Parts, label: str = "train") -> TrainPhase:
    return TrainPhase.from_split(label, "train", SimpleSampler(16), [parts.loss])


def evaluate(parts: Parts, label: str = "eval") -> EvalPhase:
    return EvalPhase.from_split(label, "test", [parts.loss])


def nested(parts: Parts) -> PhaseGroup:
    return PhaseGroup("outer", [PhaseGroup("inner", [train(parts)]), evaluate(parts)])


IN_OUTER = [
    "outer start",
    "inner start",
    "train start",
    "train end",
    "inner end",
    "eval start",
    "eval end",
    "outer end",
]


def test_hooks_are_called_from_the_outside_in_and_back(parts: Parts) -> None:
    log = Log()
    parts.experiment.add_callback(log)
    parts.experiment.execution_plan.add_group(nested(parts))
    parts.experiment.run()
    assert log.lines == ["experiment start", *IN_OUTER, "experiment end"]
    assert log.experiments == {parts.experiment}


def test_only_run_is_the_whole_experiment(parts: Parts) -> None:
    log = Log()
    parts.experiment.add_callback(log)
    parts.experiment.run_group(nested(parts))
    assert log.lines == IN_OUTER
    log.lines.clear()
    parts.experiment.run_phase(evaluate(parts))
    assert log.lines == ["eval start", "eval end"]


def test_a_preview_calls_none(parts: Parts) -> None:
    log = Log()
    parts.experiment.add_callback(log)
    parts.experiment.preview_group(nested(parts))
    parts.experiment.preview_phase(train(parts))
    assert log.lines == []
    assert parts.experiment.exp_callbacks == [log]


def test_callbacks_are_registered_in_their_order() -> None:
    first, second, late = Log(), Log(), Log(order=5)
    experiment = Experiment("exp", callbacks=[late, first])
    experiment.add_callback(second)
    assert experiment.exp_callbacks == [first, second, late]
    experiment.exp_callbacks.clear()
    assert len(experiment.exp_callbacks) == 3
    again = Experiment.from_active_context("again", callbacks=[late], overwrite=True)
    assert again.exp_callbacks == [late]


def test_each_boundary_calls_all_of_them_in_order(parts: Parts) -> None:
    lines: list[str] = []
    parts.experiment.add_callback(Log(lines, "late ", order=1))
    parts.experiment.add_callback(Log(lines, "early "))
    parts.experiment.run_phase(evaluate(parts))
    assert lines == ["early eval start", "late eval start", "early eval end", "late eval end"]


def test_a_hook_gets_what_its_signature_names(parts: Parts) -> None:
    seen: dict[str, Any] = {}

    class Asking(ExperimentCallback):
        def on_phase_start(self) -> None:  # type: ignore[override]
            seen["nothing"] = True

        def on_phase_end(self, *, phase: Any, results: Any, **rest: Any) -> None:  # type: ignore[override]
            seen["results"] = (phase.label, len(results.metrics(name="eval_loss")), list(rest))

        def on_group_start(self, *, phase_group: PhaseGroup, **rest: Any) -> None:  # type: ignore[override]
            seen["group"] = (phase_group.label, rest["group"] is phase_group)

        def on_group_end(self, results: Any, **_rest: Any) -> None:  # type: ignore[override]
            seen["group results"] = [result.label for result in results]

    parts.experiment.add_callback(Asking())
    parts.experiment.run_group(PhaseGroup("group", [evaluate(parts)]))
    assert seen == {
        "nothing": True,
        "results": ("eval", 1, ["experiment"]),
        "group": ("group", True),
        "group results": ["eval"],
    }


class Locked(ExperimentCallback):
    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()

    def state_dict(self) -> dict[str, Any]:
        return {"lock": self.lock}


def test_a_state_that_cannot_be_copied_matters_only_where_it_is_stored(parts: Parts) -> None:
    parts.experiment.add_callback(Locked())
    parts.experiment.run_phase(evaluate(parts))
    with pytest.raises(TypeError, match="lock"):
        parts.experiment.get_state()


def test_what_is_no_callback_is_refused_when_it_is_registered() -> None:
    class Wrong(ExperimentCallback):
        def on_phase_start(self, epoch: int) -> None:  # type: ignore[override]
            raise AssertionError(epoch)

    with pytest.raises(
        TypeError,
        match=r"^callback `Wrong`: on_phase_start wants `epoch`; it can have `experiment`, `phase`$",
    ):
        Experiment("exp", callbacks=[Wrong()])
    with pytest.raises(
        TypeError, match=r"^a callback of an experiment is an ExperimentCallback, not str$"
    ):
        Experiment("exp", callbacks=["log"])  # type: ignore[list-item]


def failing(hook: str) -> ExperimentCallback:
    def fail(_self: object, **_given: object) -> None:
        raise ValueError("no room")

    fail.__name__ = hook
    made: type[ExperimentCallback] = type("Failing", (ExperimentCallback,), {hook: fail})
    return made()


@pytest.mark.parametrize(
    ("hook", "where"),
    [
        ("on_experiment_start", "nowhere"),
        ("on_phase_start", "train"),
        ("on_phase_end", "train"),
        ("on_group_start", "nowhere"),
        ("on_group_end", "nowhere"),
        ("on_experiment_end", "nowhere"),
    ],
)
def test_a_callback_that_raises_fails_the_run_and_loses_nothing(
    parts: Parts, hook: str, where: str
) -> None:
    log = Log()
    parts.experiment.add_callback(log)
    parts.experiment.add_callback(failing(hook))
    parts.experiment.execution_plan.add_group(PhaseGroup("group", [train(parts)]))
    message = (
        rf"^callback `Failing.{hook}` failed: test_experiment_callback\.py:\d+: ValueError: no"
    )
    with pytest.raises(RunError, match=message):
        parts.experiment.run()
    assert log.lines[-1] == f"RunError in {where}"
    (run,) = parts.experiment.history
    assert run.run is not None
    assert (run.status, run.run.status) == ("failed", "failed")
    lines = 0 if hook in ("on_experiment_start", "on_phase_start", "on_group_start") else 4
    assert run.run.metrics().to_pandas()["name"].to_list().count("train_loss") == lines


def test_the_exception_goes_on_whatever_on_exception_does(parts: Parts) -> None:
    log = Log()
    parts.experiment.add_callback(failing("on_exception"))
    parts.experiment.add_callback(log)
    phase = train(parts)
    parts.graph.optimizer = None
    parts.experiment.execution_plan.add_phase(phase)
    with pytest.raises(SpecError, match="needs an optimizer") as caught:
        parts.experiment.run()
    assert log.lines == ["SpecError in nowhere"]
    (note,) = caught.value.__notes__
    assert note.startswith("callback `Failing.on_exception` failed: ")
