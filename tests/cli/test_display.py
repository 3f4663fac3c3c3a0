"""What is shown while a run goes on."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from specplan.cli.display import SECONDS_BETWEEN_LINES, Lines
from specplan.plan.model import Component, EarlyStopping, Eval, Sampler, Train
from specplan.run.early_stopping import Ending
from specplan.store.run_file import Status

TRAIN = Train(
    path="deep.train",
    data="Data",
    split="train",
    rows=30,
    nodes=("MLP",),
    steps=4,
    record="none",
    epochs=50,
    sampler=Sampler(component=Component(use="simple"), seed=0),
    trainable=("MLP",),
    optimizer=Component(use="sgd"),
)
EVAL = Eval(path="test", data="Data", split=None, rows=40, nodes=("MLP",), steps=1, record="none")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time; tests put it forward."""
    now = [1000.0]
    monkeypatch.setattr("specplan.cli.display.time.monotonic", lambda: now[0])
    return now


def epochs(lines: Lines, clock: list[float], *, count: int, seconds: float) -> None:
    lines.phase_started(TRAIN)
    for epoch in range(count):
        clock[0] += seconds
        lines.epoch_ended(TRAIN, epoch, {"train_loss": 1 / (epoch + 1)})
    lines.phase_ended(TRAIN, count * seconds, {"train_loss": 1 / count})


def test_fast_epochs_are_thinned_out(clock: list[float]) -> None:
    stream = io.StringIO()
    epochs(Lines(stream), clock, count=30, seconds=SECONDS_BETWEEN_LINES / 8)
    assert stream.getvalue() == (
        "deep.train: train, 30 rows of Data.train, 50 epochs of 4 steps\n"
        "deep.train: epoch 0, 1/50 done  train_loss 1\n"
        "deep.train: epoch 8, 9/50 done  train_loss 0.1111\n"
        "deep.train: epoch 16, 17/50 done  train_loss 0.05882\n"
        "deep.train: epoch 24, 25/50 done  train_loss 0.04\n"
        "deep.train: epoch 29, 30/50 done  train_loss 0.03333\n"
        "deep.train: done in 3.8 s\n"
    )


def test_early_stopping_is_told(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.phase_started(TRAIN)
    for epoch in range(3):
        clock[0] += SECONDS_BETWEEN_LINES / 8
        lines.epoch_ended(TRAIN, epoch, {"val_loss": 0.5})
    rule = EarlyStopping(
        monitor="val_loss", mode="min", patience=2, min_delta=0.0, restore_best=True
    )
    ending = Ending(epochs=3, early=True, rule=rule, restored=0, best=0.061234)
    lines.training_stopped(TRAIN, ending)
    lines.phase_ended(TRAIN, 1, {})
    assert stream.getvalue().splitlines()[1:] == [
        "deep.train: epoch 0, 1/50 done  val_loss 0.5",
        "deep.train: epoch 2, 3/50 done  val_loss 0.5",
        "deep.train: stopped early after 3 epochs, best epoch 0 restored (val_loss 0.06123)",
        "deep.train: done in 1.0 s",
    ]


def test_slow_epochs_are_all_shown(clock: list[float]) -> None:
    stream = io.StringIO()
    epochs(Lines(stream), clock, count=4, seconds=SECONDS_BETWEEN_LINES)
    assert len(stream.getvalue().splitlines()) == 6


def test_a_phase_without_epochs() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.phase_started(EVAL)
    lines.progressed(EVAL, 0, 1)
    lines.phase_ended(EVAL, 0.04, {"mse": 0.123456, "eval_loss": float("nan")})
    assert stream.getvalue() == (
        "test: eval, 40 rows of Data\ntest: done in 0.0 s  mse 0.1235  eval_loss nan\n"
    )


def test_how_a_run_ends() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.run_ended(Status.COMPLETED, None)
    lines._folder = Path("runs/line/1")
    lines.run_ended(Status.FAILED, "ValueError: no")
    assert stream.getvalue() == "completed\nfailed; what was recorded is in runs/line/1\n"


def test_nobody_reads(clock: list[float]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with (
        os.fdopen(writing, "wb", buffering=0) as pipe,
        io.TextIOWrapper(pipe, write_through=True) as stream,
    ):
        epochs(Lines(stream), clock, count=3, seconds=1)


@pytest.mark.timeout(180)  # a new process imports torch
@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal(project: Path, *, colour: bool) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60"}
    environment.pop("NO_COLOR", None)
    if not colour:
        environment["NO_COLOR"] = "1"
    with subprocess.Popen(
        [sys.executable, "-m", "specplan.cli.main", "run", "line.json"],
        cwd=project,
        env=environment,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        text = read_all(master)
    assert process.returncode == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"train .*12/12", plain)
    assert "completed" in plain
    assert re.search(r"test +test +MLP +mse +0 ", plain)
    assert bool(re.search(r"\x1b\[(\d+;)*3\d", text)) is colour


def read_all(master: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(master)
    return b"".join(parts).decode()
