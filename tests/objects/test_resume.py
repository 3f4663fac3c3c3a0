"""`exp.resume()` in the process that was stopped; tests/torture/programs.py kills it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from specplan import (
    Callback,
    PhaseGroup,
    ResultsConfig,
    RunError,
    SimpleSampler,
    TrainPhase,
)
from specplan.store.run_file import Status
from tests.objects.parts import Parts, made

if TYPE_CHECKING:
    from pathlib import Path


class Failing(Callback):
    """Ends the phase in an epoch, once."""

    def __init__(self) -> None:
        super().__init__("failing")

    def on_epoch_end(self, exec_ctx: Any) -> None:  # type: ignore[override]
        if exec_ctx.epoch_idx == 1 and ARMED:
            ARMED.pop()
            raise ZeroDivisionError("no luck")


ARMED: list[bool] = []


def phase(parts: Parts, label: str = "train") -> TrainPhase:
    sampler = SimpleSampler(8, shuffle=True, seed=1)
    return TrainPhase.from_split(label, "train", sampler, [parts.loss], 3, callbacks=[Failing()])


def kept(tmp_path: Path) -> Parts:
    return made(ResultsConfig(tmp_path / "runs"))


def test_a_call_that_failed_goes_on_in_its_folder(tmp_path: Path) -> None:
    whole = made()
    expected = whole.experiment.run_phase(phase(whole)).tensors("MLP").stacked()
    parts = kept(tmp_path)
    ARMED.append(True)
    with pytest.raises(RunError, match="no luck"):
        parts.experiment.run_phase(phase(parts))
    again = kept(tmp_path)
    results = again.experiment.resume(phase(again))
    np.testing.assert_array_equal(results.tensors("MLP").stacked(), expected)
    assert results.run.id == parts.experiment.history[0].run.id  # type: ignore[union-attr]
    [entry] = again.experiment.history
    assert (entry.label, entry.status) == ("train", Status.COMPLETED)
    for one, other in zip(weights(again), weights(whole), strict=True):
        np.testing.assert_array_equal(one, other)


def weights(parts: Parts) -> list[Any]:
    return list(parts.experiment.capture().modules["MLP"].values())


def test_without_a_run_that_was_stopped_it_runs(tmp_path: Path) -> None:
    parts = kept(tmp_path)
    parts.experiment.execution_plan.add_group(PhaseGroup("group", [phase(parts)]))
    first = parts.experiment.resume()
    ARMED.append(True)
    with pytest.raises(RunError, match="no luck"):
        parts.experiment.run_phase(phase(parts, "other"))  # another plan
    second = parts.experiment.resume()
    assert len(first) == len(second) == 1
    assert len({entry.run.id for entry in parts.experiment.history if entry.run}) == 3


def test_a_later_call_begins_again_with_the_weights_that_there_are(tmp_path: Path) -> None:
    parts = kept(tmp_path)
    parts.experiment.set_checkpoint_dir(tmp_path / "checkpoints")
    parts.experiment.run_phase(phase(parts, "first"))
    parts.experiment.save_checkpoint("first")
    expected = parts.experiment.preview_phase(phase(parts)).tensors("MLP").stacked()
    ARMED.append(True)
    with pytest.raises(RunError, match="no luck"):
        parts.experiment.run_phase(phase(parts))
    again = kept(tmp_path)
    with pytest.raises(RunError, match="began with the weights of another run"):
        again.experiment.resume(phase(again))
    again.experiment.restore_checkpoint(tmp_path / "checkpoints/first.ckpt.mml")
    results = again.experiment.resume(phase(again))
    np.testing.assert_array_equal(results.tensors("MLP").stacked(), expected)


def test_records_that_were_in_memory_are_made_again(tmp_path: Path) -> None:
    config = ResultsConfig(tmp_path / "runs", save_execution=False)
    parts = made(config)
    ARMED.append(True)
    with pytest.raises(RunError, match="no luck"):
        parts.experiment.run_phase(phase(parts))
    [folder] = (tmp_path / "runs/exp").iterdir()
    (folder / "records").unlink()
    again = made(config)
    again.experiment.resume(phase(again))
    assert len(list((tmp_path / "runs/exp").iterdir())) == 2


@pytest.mark.parametrize("called", [False, True], ids=["first", "later"])
def test_an_option_that_is_none_leaves_weights_and_history(tmp_path: Path, called: bool) -> None:
    parts = kept(tmp_path)
    ARMED.append(True)
    with pytest.raises(RunError, match="no luck"):
        parts.experiment.run_phase(phase(parts))
    again = kept(tmp_path)
    if called:
        again.experiment.run_phase(phase(again, "other"))
    before = weights(again) if called else []
    with pytest.raises(TypeError, match="no display option `show_typo`"):
        again.experiment.resume(phase(again), show_typo=True)  # type: ignore[call-overload]
    assert len(again.experiment.history) == called
    for one, other in zip(weights(again), before, strict=called):
        np.testing.assert_array_equal(one, other)


def test_what_is_no_entry_is_refused(parts: Parts) -> None:
    with pytest.raises(TypeError, match="resume takes a phase, not str"):
        parts.experiment.resume("train")  # type: ignore[call-overload]
