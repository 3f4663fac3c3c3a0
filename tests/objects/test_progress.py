from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from specplan import EvalPhase, PhaseGroup, SimpleSampler, TrainPhase

if TYPE_CHECKING:
    from tests.objects.parts import Parts


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


def test_phases_of_groups_are_shown_below_them(
    parts: Parts, capfd: pytest.CaptureFixture[str]
) -> None:
    def train(label: str) -> TrainPhase:
        return TrainPhase.from_split(label, "train", SimpleSampler(16), [parts.loss], 2)

    evaluate = EvalPhase.from_split("eval", "test", [parts.loss])
    inner = PhaseGroup("inner", [train("first"), train("second")])
    parts.experiment.execution_plan.add_group(inner).add_phase(evaluate)
    parts.experiment.run(
        show_eval_progress=True, persist_progress=True, persist_epoch_progress=True
    )
    shown = capfd.readouterr().err
    lines = [line for line in shown.splitlines() if line.strip()]
    labels = [line.partition("━")[0].rstrip() for line in lines]
    epochs = ["      epoch 0", "      epoch 1"]
    train_lines = [["    first: epochs", *epochs], ["    second: epochs", *epochs]]
    assert labels == ["exp", "  inner", *train_lines[0], *train_lines[1], "  eval"]
    assert " 3/3 " in lines[0]
    assert " 2/2 " in lines[1]
    assert "train_loss" in lines[2]
    parts.experiment.run(persist_progress=False, show_training_progress=False)
    assert capfd.readouterr().err == ""


def test_bars_that_do_not_stay_leave_no_line(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "20")
    train = TrainPhase.from_split("train", "train", SimpleSampler(16), [parts.loss], 2)
    parts.experiment.run_phase(train)
    shown = capfd.readouterr().err
    assert "train: epochs" in shown
    assert "\n" not in shown
