"""Call phases of a spec."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec.structs import replace

import specplan
from specplan.errors import CodeError, PlanError, RunError, SpecError
from specplan.plan.canonical import read_plan, write_plan
from specplan.plan.compile import compile_mapping
from specplan.plan.diff import diff
from specplan.plan.explain import explain
from specplan.run.display import Silent
from specplan.run.run import run_plan
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled
    from specplan.run.outcome import Outcome

CODE = """\
import random
from dataclasses import dataclass

import numpy as np
from specplan.experiments import ExperimentHelper


class Own(ExperimentHelper):
    def both(self, value):
        self.log_metrics({"value": value, "twice": 2 * value}, epoch=1, split="test")


@dataclass
class Settings:
    width: int
    title: str = "none"


def run(helper: Own, settings: Settings) -> None:
    helper.both(settings.width)
    helper.log_artifact("seen", [settings.title, list(helper.args), helper.run_mode])


def plain(helper, values: dict):
    helper.log_metrics({"drawn": random.random(), "drawn_too": np.random.random()})
    helper.log_metrics({"drawn": len(values)})
    helper.log_metrics({"placed": 1.0}, 5)
    helper.log_metrics({"placed": 1.0, "drawn_last": 0.0})


def worded(helper, values: dict):
    helper.log_metrics({"kept": np.array([1.0])})
    helper.log_metrics({"lost": 1.0, "text": "0.5"})


def submitting(helper, values: dict):
    helper.xp.submit(ending)


def ending(helper, values: dict):
    raise SystemExit(0)


number = 3
"""


def call(label: str = "call", name: str = "run", **config: Any) -> dict[str, Any]:
    return {"phase": "call", "label": label, "use": f"./code.py:{name}", "config": config}


def compiled(folder: Path, *phases: dict[str, Any], **keys: Any) -> Compiled:
    if not (folder / "code.py").exists():
        (folder / "code.py").write_text(CODE, encoding="utf-8")
    return compile_mapping({"experiment": {"id": "calls"}, **keys, "plan": phases}, folder=folder)


def run(plan: Compiled, root: Path) -> Outcome:
    return run_plan(plan, root=root, display=Silent(), trust=True)


def test_a_text_is_no_metric(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"code\.py:\d+: TypeError: Metric text must be numeric"):
        run(compiled(tmp_path, call(name="worded")), tmp_path / "runs")
    found = specplan.open("calls", root=tmp_path / "runs").metrics().arrow
    assert found.column("name").to_pylist() == ["kept"]


def test_functions_and_groups(tmp_path: Path) -> None:
    first = call(width=3) | {"args": ["a"]}
    group = {"group": "deep", "do": [call(name="plain", a=1, b=[2])]}
    outcome = run(compiled(tmp_path, first, group, call("again", width=5)), tmp_path / "runs")
    assert [phase.path for phase in outcome.run_file.phases] == ["call", "deep.call", "again"]
    rows = specs.metrics(outcome)
    kept = [(row["phase"], row["name"], row["value"], row["epoch"], row["split"]) for row in rows]
    assert kept[:2] == [("call", "value", 3, 1, "test"), ("call", "twice", 6, 1, "test")]
    assert kept[-2:] == [("again", "value", 5, 1, "test"), ("again", "twice", 10, 1, "test")]
    assert [row["step"] for row in rows] == [0, 0, 0, 0, 1, 5, 6, 6, 0, 0]
    seen = json.loads((outcome.folder.artifacts / "seen.json").read_text(encoding="utf-8"))
    assert seen == ["none", ["a"], "normal"]


def _numpy_state() -> str:
    return repr(np.random.get_state())


def test_random_numbers_are_those_of_the_seed(tmp_path: Path) -> None:
    drawn = []
    for seed in (1, 1, 2):
        before = random.getstate(), _numpy_state()
        plan = compiled(tmp_path, call(name="plain"), run={"seed": seed})
        drawn.append([row["value"] for row in specs.metrics(run(plan, tmp_path / "runs"))])
        assert before == (random.getstate(), _numpy_state())
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[2][0]
    assert drawn[0][1] != drawn[2][1]


def test_beside_phases_that_train(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    phases = (specs.train(epochs=1), call(width=3), specs.evaluation())
    plan = specs.compiled(*phases, folder=tmp_path)
    assert "phase 2 call: call ./code.py:run\n  width: 3\n\nphase 3" in explain(plan.plan)
    outcome = run(plan, tmp_path / "runs")
    assert [phase.path for phase in outcome.run_file.phases] == ["train", "call", "eval"]
    assert outcome.run_file.status == "completed"


def test_a_configuration_that_does_not_fit(tmp_path: Path) -> None:
    plan = compiled(tmp_path, call(width="x", tilte="y"))
    with pytest.raises(SpecError) as wrong:
        run(plan, tmp_path / "runs")
    assert [str(item) for item in wrong.value.diagnostics] == [
        "plan[0].config.tilte: error[SP201]: unknown key `tilte`; `Settings` has width, title\n"
        "hint: did you mean `title`?",
        'plan[0].config.width: error[SP202]: expected integer, found string "x"',
    ]
    assert not (tmp_path / "runs").exists()


def test_a_call_without_trouble_may_exit(tmp_path: Path) -> None:
    assert run(compiled(tmp_path, call(name="ending")), tmp_path).run_file.status == "completed"


def test_jobs_need_a_command(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"helper\.xp is there in `mlx run-experiment`"):
        run(compiled(tmp_path, call(name="submitting")), tmp_path / "runs")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("number", "code.py` has no class or function `number`; it has `Own`, `Settings`, "),
        ("Own", "`./code.py:Own` is no function"),
        ("", "`./code.py:` does not name a function"),
    ],
)
def test_what_is_no_function(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as wrong:
        compiled(tmp_path, call(name=name))
    (fault,) = wrong.value.diagnostics
    assert message in fault.message
    assert fault.origin.path == ("plan", 0, "use")


def test_names_do_not_change_the_id(tmp_path: Path) -> None:
    plan = compiled(tmp_path, call(width=3))
    (tmp_path / "lib").mkdir()
    (tmp_path / "pre.py").touch()
    named = compiled(
        tmp_path,
        call(width=3),
        experiment={"id": "other", "subtitle": "s", "paper": "p", "add_timestamp": True},
        run={"dirty_git": "error"},
        code={"pythonpath": [".", "lib"], "pre_experiment": "pre.py"},
    )
    assert named.plan.id == plan.plan.id
    assert compiled(tmp_path, call(width=4)).plan.id != plan.plan.id
    (tmp_path / "code.py").write_text(CODE.replace("2 * value", "3 * value"), encoding="utf-8")
    assert compiled(tmp_path, call(width=3)).plan.id != plan.plan.id


def test_what_differs_is_told(tmp_path: Path) -> None:
    before = compiled(tmp_path, call(width=3)).plan
    (tmp_path / "code.py").write_text(CODE.replace("2 * value", "3 * value"), encoding="utf-8")
    after = compiled(tmp_path, call(width=4) | {"args": ["x"]}, run={"dirty_git": "error"}).plan
    found = diff(before, after)
    told = [str(change) for change in found.numbers]
    assert told[:2] == ["phase call: words [] -> x", "phase call: width 3 -> 4"]
    assert told[2].startswith("phase call: code b3:")
    assert [str(change) for change in found.names] == ["code: dirty_git warn -> error"]


def test_a_plan_file_runs_the_code_that_was_compiled(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    file = tmp_path / "plans/plan.json"
    write_plan(compiled(tmp_path, call(width=3)), file)
    assert run(read_plan(file), tmp_path / "runs").run_file.status == "completed"
    with pytest.raises(CodeError, match="is not trusted; a run would execute it"):
        run_plan(read_plan(file), root=tmp_path / "runs", display=Silent())
    (tmp_path / "code.py").write_text(CODE.replace("2 * value", "3 * value"), encoding="utf-8")
    with pytest.raises(CodeError, match="changed after the plan was compiled"):
        run(read_plan(file), tmp_path / "runs")
    write_plan(compiled(tmp_path, call(width="x")), file)
    with pytest.raises(SpecError, match=r"^phases\[0\]\.config\.width: error\[SP202\]"):
        run(read_plan(file), tmp_path / "runs")


def test_a_plan_that_was_made_by_hand_is_refused(tmp_path: Path) -> None:
    plan = compiled(tmp_path, call(width=3))
    (phase,) = plan.plan.phases
    for changed in (replace(phase, rows=3), replace(phase, data="Set")):
        wrong = replace(plan, plan=replace(plan.plan, phases=(changed,)))
        with pytest.raises(PlanError, match="reads data, which a call cannot"):
            run(wrong, tmp_path / "runs")


def test_torch_cannot_be_mocked_where_nodes_need_it(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    text = "from specplan.experiments import mock_modules\nmock_modules(['torch'])\n"
    (tmp_path / "pre.py").write_text(text, encoding="utf-8")
    code = {"pre_experiment": "pre.py"}
    plan = specs.compiled(specs.train(epochs=1), call(width=3), folder=tmp_path, code=code)
    with pytest.raises(RunError, match="pre_experiment mocks `torch`, which the nodes"):
        run(plan, tmp_path / "runs")
    import torch

    assert torch.zeros(2).sum().item() == 0
