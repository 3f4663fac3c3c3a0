from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from torch import nn

from specplan import (
    ArtifactResult,
    Callback,
    EarlyStopping,
    EvalPhase,
    FitPhase,
    MetricResult,
    PhaseGroup,
    RunError,
    SimpleSampler,
    TrainPhase,
)

if TYPE_CHECKING:
    from specplan.objects.phase_results import PhaseResults
    from tests.objects.parts import Parts

HOOKS = (
    "on_phase_start",
    "on_epoch_start",
    "on_batch_start",
    "on_batch_end",
    "on_epoch_end",
    "on_phase_end",
)


def train(parts: Parts, *callbacks: Any, **options: Any) -> TrainPhase:
    sampler = SimpleSampler(batch_size=30)
    return TrainPhase.from_split(
        "train", "train", sampler, [parts.loss], callbacks=callbacks, **options
    )


def evaluate(parts: Parts, *callbacks: Any, **options: Any) -> EvalPhase:
    return EvalPhase.from_split("eval", "test", [parts.loss], callbacks=callbacks, **options)


def calling(lines: list[str], label: str, order: int = 0, **hooks: Any) -> Callback:
    """A callback that writes down its hooks, or does what is given for some of them."""

    def method(name: str) -> Any:
        def write(_self: object, exec_ctx: Any) -> None:
            at = [exec_ctx.phase_label, exec_ctx.epoch_idx, exec_ctx.batch_idx]
            where = " ".join(str(each) for each in at if each is not None)
            lines.append(f"{label} {name.removeprefix('on_')} {where}")

        write.__name__ = name
        return write

    members = {name: method(name) for name in HOOKS} | hooks
    made: type[Callback] = type("Calling", (Callback,), members)
    return made(label=label, execution_order=order)


def returned(results: PhaseResults) -> list[Any]:
    """What callbacks returned, in the order in which they did."""
    return results.run.returned(results.path)


def test_hooks_are_called_around_phase_epochs_and_batches(parts: Parts) -> None:
    lines: list[str] = []
    phase = train(parts, calling(lines, "b", order=1), calling(lines, "a"), n_epochs=2)
    parts.experiment.run_phase(phase)
    ours = [line.removeprefix("a ") for line in lines if line.startswith("a ")]
    epoch = "epoch_start train {0}|batch_start train {0} 0|batch_end train {0} 0"
    epoch += "|batch_start train {0} 1|batch_end train {0} 1|epoch_end train {0}"
    inside = [line for number in (0, 1) for line in epoch.format(number).split("|")]
    assert ours == ["phase_start train", *inside, "phase_end train"]
    assert lines[::2] == [f"a {line}" for line in ours]
    assert lines[1::2] == [f"b {line}" for line in ours]


def test_other_phases_have_batches_and_no_epochs(parts: Parts) -> None:
    lines: list[str] = []
    parts.experiment.run_phase(evaluate(parts, calling(lines, "a"), batch_size=10))
    assert lines == [
        "a phase_start eval",
        "a batch_start eval 0",
        "a batch_end eval 0",
        "a batch_start eval 1",
        "a batch_end eval 1",
        "a phase_end eval",
    ]


def test_a_hook_sees_the_program_the_batch_and_the_results(parts: Parts) -> None:
    seen: dict[str, Any] = {}

    class Looking(Callback):
        def on_batch_start(self, exec_ctx: Any) -> None:  # type: ignore[override]
            seen.setdefault("start", exec_ctx)

        def on_batch_end(self, exec_ctx: Any, results: Any) -> None:  # type: ignore[override]
            seen["end"] = exec_ctx
            seen["losses"] = len(results.metrics(name="train_loss"))

        def on_phase_end(self, **given: Any) -> None:
            seen["given"] = given

    looking = Looking()
    phase = train(parts, looking)
    results = parts.experiment.run_group(PhaseGroup("group", [phase]))[0]
    assert looking.label == "Looking"
    assert list(seen["start"].inputs) == ["MLP"]
    assert seen["start"].inputs["MLP"].shape == (30, 4)
    assert not seen["start"].inputs["MLP"].flags.writeable
    assert seen["start"].outputs == {}
    recorded = results.tensors("MLP", "outputs")[0, 1]  # type: ignore[union-attr]
    np.testing.assert_array_equal(seen["end"].outputs["MLP"], recorded)
    assert seen["end"].targets["MLP"].shape == recorded.shape
    assert seen["losses"] == 2
    assert seen["given"]["experiment"] is parts.experiment
    assert seen["given"]["phase"] is phase
    assert seen["given"]["results"].path == "group.train"


def test_what_hooks_return_is_kept(parts: Parts) -> None:
    class Returning(Callback):
        def on_phase_start(self) -> object:  # type: ignore[override]
            return {"began": [1, 2.5, None]}

        def on_epoch_end(self, exec_ctx: Any) -> object:  # type: ignore[override]
            if exec_ctx.epoch_idx:
                return ArtifactResult("weights", np.arange(3))
            return MetricResult("val_score", 0.5)

        def on_batch_end(self, exec_ctx: Any) -> object:  # type: ignore[override]
            return MetricResult("size", float(exec_ctx.batch_idx))

        def on_phase_end(self) -> object:  # type: ignore[override]
            return np.ones((2, 2))

    results = parts.experiment.run_phase(train(parts, Returning("mine"), n_epochs=2))
    rows = [(row["kind"], row["edge"], row["epoch"], row["batch"]) for row in returned(results)]
    assert rows == [
        ("payload", "phase_start", None, None),
        ("metric", "batch_end", 0, 0),
        ("metric", "batch_end", 0, 1),
        ("metric", "epoch_end", 0, None),
        ("metric", "batch_end", 1, 0),
        ("metric", "batch_end", 1, 1),
        ("artifact", "epoch_end", 1, None),
        ("payload", "phase_end", None, None),
    ]
    first, *_, artifact, last = returned(results)
    assert first["value"] == {"began": [1, 2.5, None]}
    assert {row["label"] for row in returned(results)} == {"mine"}
    np.testing.assert_array_equal(results.run.artifacts[artifact["value"]].read(), [0, 1, 2])
    np.testing.assert_array_equal(
        results.run.artifacts[last["value"]["artifact"]].read(), [[1, 1], [1, 1]]
    )
    assert list(results.metrics(name="val_score")) == [("val_score", 0, None)]
    assert len(results.metrics(name="size")) == 4


def test_early_stopping_can_monitor_what_a_callback_returns(parts: Parts) -> None:
    class Score(Callback):
        def on_epoch_end(self, exec_ctx: Any) -> MetricResult:  # type: ignore[override]
            return MetricResult("score", [3.0, 2.0, 4.0, 5.0, 1.0][exec_ctx.epoch_idx])

    stop = EarlyStopping(monitor="score", patience=2)
    results = parts.experiment.run_phase(train(parts, stop, Score(), n_epochs=5))
    assert [each.value for each in results.metrics(name="score").values()] == [3, 2, 4, 5]


@pytest.mark.parametrize(("mode", "best"), [("min", (0, 5.0)), ("max", (1, 6.0))])
def test_what_early_stopping_decided_is_read_and_not_decided_again(
    parts: Parts, mode: Literal["min", "max"], best: tuple[int, float]
) -> None:
    class Scores(Callback):
        def on_batch_end(self, exec_ctx: Any) -> MetricResult:  # type: ignore[override]
            of_batches = [[1.0, 9.0], [4.0, 8.0], [2.0, 8.5]][exec_ctx.epoch_idx]
            return MetricResult("score", of_batches[exec_ctx.batch_idx])

    stop = EarlyStopping("score", mode=mode, patience=9, reducer="mean", restore_best=True)
    results = parts.experiment.run_phase(train(parts, stop, Scores(), n_epochs=3))
    stopped = results.callbacks(kind="early_stopping").one()
    assert (stopped.best_epoch, stopped.best_value) == best
    assert stopped.restored


def test_nodes_and_modes_are_put_back_after_each_hook(parts: Parts) -> None:
    class Meddling(Callback):
        def on_batch_start(self, experiment: Any) -> None:  # type: ignore[override]
            for module in experiment._calls.live.state.modules().values():
                assert isinstance(module, nn.Module)
                assert module.training
                module.eval()
                for parameter in module.parameters():
                    parameter.requires_grad = False

    plain = parts.experiment.preview_phase(train(parts)).tensors("MLP").stacked()
    meddled = parts.experiment.preview_phase(train(parts, Meddling())).tensors("MLP").stacked()
    np.testing.assert_array_equal(plain, meddled)


def test_a_hook_can_preview_another_phase_and_change_no_bit(parts: Parts) -> None:
    losses: list[float] = []

    class Previewing(Callback):
        def on_epoch_end(self, experiment: Any) -> None:  # type: ignore[override]
            results = experiment.preview_phase(evaluate(parts))
            losses.append(results.metrics(name="eval_loss").one().value)

    plain = parts.experiment.preview_phase(train(parts, n_epochs=3)).tensors("MLP").stacked()
    phase = train(parts, Previewing(), n_epochs=3)
    previewed = parts.experiment.run_phase(phase).tensors("MLP").stacked()
    np.testing.assert_array_equal(plain, previewed)
    assert losses[0] > losses[1] > losses[2]
    assert len(parts.experiment.history) == 1


@pytest.mark.parametrize("hook", HOOKS)
def test_what_a_hook_raises_ends_the_run_and_loses_nothing(parts: Parts, hook: str) -> None:
    told: list[str] = []

    def fail(_self: object) -> None:
        raise ValueError("no room")

    def on_exception(_self: object, exec_ctx: Any, exception: BaseException) -> None:
        told.append(f"{exec_ctx.epoch_idx} {exception}")

    fail.__name__ = hook
    failing = calling([], "Failing", 0, **{hook: fail, "on_exception": on_exception})
    with pytest.raises(RunError) as caught:
        parts.experiment.run_phase(train(parts, failing))
    place = r"^phase `train`: callback `Failing\.{}` failed: test_callback\.py:\d+: ValueError: no"
    assert caught.match(place.format(hook))
    assert told == [f"{None if 'phase' in hook else 0} {caught.value}"]
    (run,) = parts.experiment.history
    assert run.run is not None
    assert run.run.status == "failed"
    kept = {"on_batch_end": 1, "on_epoch_end": 3, "on_phase_end": 3}.get(hook, 0)
    assert run.run.metrics().to_pandas()["name"].to_list().count("train_loss") == kept


def test_what_cannot_be_kept_is_said(parts: Parts) -> None:
    class Handing(Callback):
        def __init__(self, value: object) -> None:
            self.value = value

        def on_phase_end(self) -> object:  # type: ignore[override]
            return self.value

    message = r"^phase `eval`: callback `Handing.on_phase_end` returned what cannot be kept: "
    for value in (object(), MetricResult("eval_loss", 1.0), ArtifactResult("../up", 1)):
        with pytest.raises(RunError, match=message):
            parts.experiment.run_phase(evaluate(parts, Handing(value)))


def test_callbacks_are_checked_when_they_are_given(parts: Parts) -> None:
    message = r"^phase `train`: a callback is `Callback`, `Evaluation`, `EarlyStopping`, `LearningRate`, `ReduceOnPlateau`, not str$"
    with pytest.raises(TypeError, match=message):
        train(parts, "log")
    with pytest.raises(TypeError, match=r"^phase `eval`: a callback is `Callback`, not EarlyStop"):
        evaluate(parts, EarlyStopping())
    with pytest.raises(ValueError, match=r"^phase `train` has two callbacks `a`; give one another"):
        train(parts, calling([], "a"), calling([], "a"))

    class Wrong(Callback):
        def on_epoch_end(self, epoch: int) -> None:  # type: ignore[override]
            raise AssertionError(epoch)

    message = (
        r"^callback `Wrong`: on_epoch_end wants `epoch`; it can have `experiment`, `phase`, `exec"
    )
    with pytest.raises(TypeError, match=message):
        train(parts, Wrong())
    phase = train(parts)
    phase.add_callback(calling([], "late"))
    assert [callback.label for callback in phase.callbacks] == ["late"]  # type: ignore[union-attr]


def test_a_spec_names_callbacks_of_a_program(parts: Parts) -> None:
    phase = train(parts, calling([], "log it"))
    assert phase.spec()["callbacks"] == [{"use": "live:train-log_it"}]
    parts.experiment.execution_plan.add_phase(phase)
    assert evaluate(parts).spec().get("callbacks") is None


def test_fit_phases_have_callbacks_too() -> None:
    from tests.objects.test_experiment import failing_experiment

    experiment, fitting = failing_experiment()
    told: list[str] = []

    def on_exception(_self: object, exception: BaseException) -> None:
        told.append(type(exception).__name__)

    failing = calling(told, "a", on_exception=on_exception)
    phase = FitPhase.from_split("fit", "train", fitting.losses, callbacks=[failing])
    with pytest.raises(RunError):
        experiment.run_phase(phase)
    assert told == ["a phase_start fit", "ValueError"]
