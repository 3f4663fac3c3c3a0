"""Callbacks that a spec names, in a run without a Python program around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.code.trust import trust
from specplan.errors import CodeError, SpecError
from specplan.plan.canonical import read_plan, write_plan
from specplan.results.open import open_run
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled

CODE = """\
from specplan import Callback, MetricResult


class Count(Callback):
    def __init__(self, label: str = "Count", start: int = 0):
        super().__init__(label)
        self.count = start

    def on_batch_end(self, experiment, results, phase, exec_ctx):
        assert experiment is None and results is None
        assert phase.path == exec_ctx.phase_label
        self.count += 1

    def on_epoch_end(self):
        return MetricResult("batches", self.count)

    def on_phase_end(self):
        return {"count": self.count}


class Other:
    pass
"""


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPECPLAN_CONFIG", str(tmp_path / "config"))
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    trust(file)
    return file


def compiled(*callbacks: dict[str, Any], **changes: Any) -> Compiled:
    return specs.compiled(specs.train(callbacks=list(callbacks), **changes))


def test_a_spec_names_callbacks_of_a_file(tmp_path: Path) -> None:
    plan = compiled({"use": "./mine.py:Count", "start": 10})
    (named,) = plan.plan.phases[0].callbacks
    assert (named.label, named.component.use) == ("Count", "./mine.py:Count")
    assert named.component.args == {"label": "Count", "start": 10}
    outcome = specs.run(plan, tmp_path / "runs")
    assert specs.values(outcome, "train", "batches") == [23, 36]
    *_, last = open_run(outcome.folder.path).returned("train")
    assert last == {
        "label": "Count",
        "epoch": None,
        "batch": None,
        "edge": "phase_end",
        "kind": "payload",
        "value": {"count": 36},
    }


def test_a_plan_file_keeps_them_and_their_digest(tmp_path: Path, code: Path) -> None:
    write_plan(compiled({"use": "./mine.py:Count"}), tmp_path / "p.plan.json")
    plan = read_plan(tmp_path / "p.plan.json")
    plan = msgspec.structs.replace(plan, tables={"set": specs.regression()})
    outcome = specs.run(plan, tmp_path / "runs")
    assert specs.values(outcome, "train", "batches") == [13, 26]
    code.write_text(CODE.replace("+= 1", "+= 2"))
    trust(code)
    with pytest.raises(CodeError, match="changed after the plan was compiled"):
        specs.run(plan, tmp_path / "runs")


def test_early_stopping_monitors_what_they_return(tmp_path: Path) -> None:
    stop = {"use": "early_stopping", "monitor": "batches", "mode": "min", "patience": 1}
    outcome = specs.run(compiled({"use": "./mine.py:Count"}, stop, epochs=5), tmp_path / "runs")
    assert specs.values(outcome, "train", "batches") == [13, 26]


def test_two_of_one_class_have_two_labels(tmp_path: Path) -> None:
    count = {"use": "./mine.py:Count"}
    with pytest.raises(SpecError, match="this phase has two callbacks `Count`"):
        compiled(count, count)
    with pytest.raises(SpecError, match="`Count` takes no argument `begin`"):
        compiled(count | {"begin": 3})
    plan = compiled(count, count | {"label": "second"})
    outcome = specs.run(plan, tmp_path / "runs")
    rows = open_run(outcome.folder.path).returned("train")
    assert [row["label"] for row in rows] == ["Count", "second"] * 3


def test_what_is_no_callback_is_refused(tmp_path: Path) -> None:
    message = r"^`./mine.py:Other` is not a callback: that is a subclass of specplan.Callback"
    with pytest.raises(CodeError, match=message):
        specs.run(compiled({"use": "./mine.py:Other"}), tmp_path / "runs")
