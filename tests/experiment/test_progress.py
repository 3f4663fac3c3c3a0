from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from specplan import EvalPhase, SimpleSampler, TrainPhase

if TYPE_CHECKING:
    from tests.experiment.parts import Parts


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "120")


def test_bars_show_phases_as_asked(parts: Parts, capfd: pytest.CaptureFixture[str]) -> None:
    train = TrainPhase.from_split("train", "train", SimpleSampler(16), [parts.loss], 2)
    evaluate = EvalPhase.from_split("eval", "test", [parts.loss])
    parts.experiment.run_phase(train, persist_progress=True)
    shown = capfd.readouterr().err
    assert "train: epochs" in shown
    assert "2/2" in shown
    assert "train_loss" in shown
    parts.experiment.run_phase(train, show_training_progress=False)
    parts.experiment.run_phase(evaluate)
    assert capfd.readouterr().err == ""
    parts.experiment.run_phase(evaluate, show_eval_progress=True, persist_progress=True)
    shown = capfd.readouterr().err
    assert "1/1" in shown
    assert "eval_loss" in shown
